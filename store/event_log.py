"""The log of events: appended by group commit, read by computed keys.

An event's key is `"<sessionId>/<seq, 10 digits>"`. It is the only unique key: the first writer takes a position. Order,
the absence of holes and the uniqueness of eventIds follow from it, because a writer numbers an event only when it knows
the ids of all positions before it (`protocol.rules.Ledger`).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo.read_concern import ReadConcern

from turnwire.protocol.errors import LogHole, Overloaded
from turnwire.protocol.messages import Event
from turnwire.protocol.rules import DIGEST_PAGE
from turnwire.protocol.times import to_millis
from turnwire.store.archive.archived_log import ArchivedLog
from turnwire.store.condition import DatabaseCondition
from turnwire.store.digests import DigestStore, unpack_times
from turnwire.store.event_documents import IDENTITY, Document, Mark, event_documents, event_of, position_key
from turnwire.store.lanes.append_lane import AppendLane
from turnwire.store.lanes.appends import Appended, PendingAppend, RefusedDocument
from turnwire.store.lanes.inserts import Command, OrderedInsert
from turnwire.store.lanes.shard_hash import lane_of
from turnwire.store.sharing.reads import READ_WINDOW, Reads

_READ = "read events"

ANY_LIFE = -1
"""Reads events of any life. Use it for positions that are known to hold only events of the session itself."""

__all__ = ["READ_WINDOW", "Appended", "EventLog", "RefusedDocument", "event_documents", "position_key"]


class EventLog:
    """The log of all sessions' events. Owner of the lanes; a session always uses the same lane."""

    def __init__(
        self,
        database: Any,
        condition: DatabaseCondition | None = None,
        *,
        lanes: int = 1,
        embedded: bool = False,
        max_waiting_bytes: int | None = None,
        command: Command | None = None,
    ) -> None:
        """Use the collections `events` and `digests` of a Motor database. `command` runs an insert there; the default
        is the database's own.

        `embedded` says that the database has no shards. Reads then do not name one, which makes them a tenth cheaper.
        """
        self._events = database["events"]
        self._certain = self._events.with_options(read_concern=ReadConcern("linearizable"))
        condition = self._condition = condition or DatabaseCondition()
        self._targeted = not embedded
        self._reads = Reads(self._events, self._condition, embedded=embedded)
        self._max_waiting_bytes = max_waiting_bytes
        self.digests = DigestStore(database["digests"], self._condition)
        self.archive = ArchivedLog(database, self._condition)
        insert = OrderedInsert(command or database.command, "events", command.at_once if command else None)
        self._lanes = [AppendLane(insert, self, condition, self._committed, overlap=lanes == 1) for _ in range(lanes)]
        self.on_commit: Callable[[int, float], None] | None = None
        """Called after each commit with the number of events stored and the seconds it took."""

    # Appending

    @property
    def troubles(self) -> int:
        """The number of storage troubles so far. `append` needs the number from the time when a head was read
        (`as_of`)."""
        return self._condition.troubles

    @property
    def waiting_bytes(self) -> int:
        """The bytes of all unfinished appends."""
        return sum(lane.waiting_bytes for lane in self._lanes)

    async def append(
        self,
        session_id: str,
        documents: Sequence[Document],
        payload_bytes: int,
        *,
        as_of: int | None = None,
        head: Mark | None = None,
    ) -> Appended:
        """Store consecutive documents of one session, in order. Return once it is known how many are stored.

        If fewer than all are stored, the position of the next one already holds an event: read on from there. While
        the database is away, this waits without limit. If the caller cancels it, the outcome stays unknown.

        `as_of` is the value of `troubles` when the event before these documents was last known to be in the log: that
        of the last `Appended`, or the one from before the head was read. If `troubles` has risen since, that event is
        verified first. By default, only trouble from now on counts.

        Raises RefusedDocument, LogRolledBack if the event before these is no longer in the log, and Overloaded, before
        anything is stored, if too many bytes wait already.
        """
        append = PendingAppend(documents, payload_bytes, self.troubles if as_of is None else as_of, head)
        self._require_room(append.weight)
        self._lanes[lane_of(session_id, len(self._lanes))].submit(append)
        return Appended(await append.done, append.unsure, append.as_of)

    def _require_room(self, weight: int) -> None:
        if self._max_waiting_bytes is None:
            return
        waiting = self.waiting_bytes
        if waiting and waiting + weight > self._max_waiting_bytes:
            raise Overloaded(f"{waiting} bytes wait for the storage, which is the limit; try again later")

    def _committed(self, stored: int, seconds: float) -> None:
        if self.on_commit is not None:
            self.on_commit(stored, seconds)

    # Reading

    async def read(self, session_id: str, first: int, last: int, life: int | None = ANY_LIFE) -> list[Event]:
        """Return the events at positions first…last in seq order. All must be known to be durable.

        The cost does not depend on where the positions are. With a `life`, as in all methods here, only events of the
        session with this life are returned, because after an erasure another session may write to the same positions.
        Raises StorageUnavailable, or LogHole if an event is missing.
        """
        return await self.read_at(session_id, range(first, last + 1), life)

    async def read_at(self, session_id: str, seqs: Iterable[int], life: int | None = ANY_LIFE) -> list[Event]:
        """Return the events at these positions, all known to be durable, in seq order. Raises as `read` does."""
        wanted = sorted(set(seqs))
        events = await self.read_present(session_id, wanted, life)
        if len(events) < len(wanted):
            events = await self.archive.complete(session_id, wanted, events, lambda own: life in (own, ANY_LIFE))
        _require_all(session_id, wanted, [event.seq for event in events])
        return events

    async def read_present(self, session_id: str, seqs: Iterable[int], life: int | None = ANY_LIFE) -> list[Event]:
        """Return the events at these positions, in seq order, skipping empty positions. Raises StorageUnavailable."""
        documents = await self._find(session_id, [position_key(session_id, seq) for seq in seqs])
        return [event_of(document) for document in sorted(documents, key=_seq) if _is_of(document, life)]

    async def read_spans(self, spans: Mapping[str, tuple[range, int | None]]) -> dict[str, list[Event]]:
        """Return the events at positions of several sessions, by sessionId, skipping empty positions. `spans`:
        sessionId → (positions, life). One query for up to READ_WINDOW positions in all. Raises StorageUnavailable."""
        keys = [position_key(session_id, seq) for session_id, (seqs, _) in spans.items() for seq in seqs]
        found: dict[str, list[Event]] = {}
        for document in sorted(await self._ask(keys, {"$in": list(spans)}, None), key=_seq):
            session_id = document["sessionId"]
            if _is_of(document, spans[session_id][1]):
                found.setdefault(session_id, []).append(event_of(document))
        return found

    async def stray_at(self, session_id: str, seq: int, life: int | None) -> Document | None:
        """Return what identifies the event at the position, if it belongs to another life. Raises
        StorageUnavailable."""
        found = await self._find(session_id, [position_key(session_id, seq)], IDENTITY)
        return next((document for document in found if not _is_of(document, life)), None)

    async def remove_stray(self, session_id: str, stray: Document) -> None:
        """Remove this stray event, but no event that has taken its place since. Raises StorageUnavailable."""
        condition = {"_id": stray["_id"], "sessionId": session_id, "life": stray.get("life")}
        await self._condition.ask("delete events", self._events.delete_many(condition))

    async def head_after(self, session_id: str, known: int, life: int | None = ANY_LIFE, width: int = 1) -> list[Event]:
        """Return all events after position `known`, which other writers may have stored. Raises StorageUnavailable.

        The first window has `width` positions, and later ones grow, so the usual answer (nothing) costs one key.
        """
        found: list[Event] = []
        while True:
            first = known + len(found) + 1
            window = await self.read_present(session_id, range(first, first + width), life)
            for event in window:
                if event.seq != known + len(found) + 1:  # the event before it was stored during this read
                    return found
                found.append(event)
            if len(window) < width:
                return found
            width = min(width * 4, READ_WINDOW)

    async def advanced(self, heads: Mapping[str, int]) -> list[str]:
        """Return the sessions whose log extends beyond these heads (sessionId → last known seq), in few reads.

        Raises StorageUnavailable.
        """
        keys = {session_id: position_key(session_id, head + 1) for session_id, head in heads.items()}
        found = await self.found([{"_id": key, "sessionId": session_id} for session_id, key in keys.items()])
        return [session_id for session_id, key in keys.items() if key in found]

    async def lost(self, heads: Mapping[str, Mark | None]) -> list[str]:
        """Return the sessions (sessionId → last known event) whose log does not show that event, in few reads. One look
        proves nothing; `stands` gives proof. Raises StorageUnavailable."""
        marks = {(session_id, position_key(session_id, head.seq)): head for session_id, head in heads.items() if head}
        found = await self.found([{"_id": key, "sessionId": session_id} for session_id, key in marks])
        return [session_id for (session_id, key), mark in marks.items() if not mark.is_of(found.get(key))]

    async def head_until(self, session_id: str, known: int) -> Event | None:
        """Return the last event, up to `known`, of a log that has lost its end; None for an empty log.

        A binary search: 20 reads of one key for a million events. Raises StorageUnavailable.
        """
        low, high = 0, known
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if await self.holds(session_id, middle) else (low, middle - 1)
        return (await self.read(session_id, low, low))[0] if low else None

    async def stands(self, session_id: str, mark: Mark) -> bool:
        """Return for certain whether the log holds this event. Raises StorageUnavailable."""
        return await self._certainly(session_id, mark.seq, mark.is_of)

    async def holds(self, session_id: str, seq: int) -> bool:
        """Return for certain whether the position holds an event. Raises StorageUnavailable."""
        return await self._certainly(session_id, seq, lambda stored: stored is not None)

    async def _certainly(self, session_id: str, seq: int, is_wanted: Callable[[Document | None], bool]) -> bool:
        """Return whether the position holds what is wanted. A server that has just become the primary, or has just
        ceased to be, may not show the newest events at once. So a negative answer is confirmed by a majority."""
        condition = {"_id": position_key(session_id, seq), "sessionId": session_id}
        for collection in (self._events, self._certain):
            if is_wanted(await self._condition.ask(_READ, collection.find_one(condition, IDENTITY))):
                return True
        return await self.archive.holds(session_id, seq)

    async def found(self, positions: Sequence[Document]) -> dict[str, Document]:
        """Return the IDENTITY of the events at these positions (`_id`, `sessionId`), by `_id`. Skip empty positions."""
        found: dict[str, Document] = {}
        for start in range(0, len(positions), READ_WINDOW):
            window = positions[start : start + READ_WINDOW]
            condition: Document = {"_id": {"$in": [each["_id"] for each in window]}}
            if self._targeted:
                condition["sessionId"] = {"$in": list({each["sessionId"] for each in window})}
            documents = await self._reads.find(condition, IDENTITY, count=len(window))
            found |= {document["_id"]: document for document in documents}
        return found

    async def _find(
        self, session_id: str, keys: Sequence[str], projection: dict[str, int] | None = None
    ) -> list[Document]:
        documents: list[Document] = []
        window = self._reads.window if projection is None else READ_WINDOW
        for start in range(0, len(keys), window):
            documents += await self._ask(keys[start : start + window], session_id, projection)
        return documents

    async def _ask(self, keys: Sequence[str], session: object, projection: dict[str, int] | None) -> list[Document]:
        """Find the documents of these keys. `session` is the condition on sessionId that lets a router pick a shard."""
        condition: Document = {"_id": {"$in": list(keys)}}
        if self._targeted:
            condition["sessionId"] = session
        session_id = session if isinstance(session, str) else None
        return await self._reads.find(condition, projection, count=len(keys), session_id=session_id)

    async def read_ids(self, session_id: str, first: int, last: int) -> list[tuple[int, str, datetime]]:
        """Return (seq, eventId, timestamp) of positions first…last, all known to be durable, in order.

        Raises as `read` does.
        """
        seqs = range(first, last + 1)
        keys = [position_key(session_id, seq) for seq in seqs]
        documents = await self._find(session_id, keys, {"seq": 1, "eventId": 1, "timestamp": 1})
        found = sorted((document["seq"], document["eventId"], document["timestamp"]) for document in documents)
        if len(found) < len(seqs):
            found = await self.archive.identities(session_id, seqs, found)
        _require_all(session_id, seqs, [seq for seq, _, _ in found])
        return found

    async def times(self, session_id: str, last_seq: int, life: int | None = None) -> array[int]:
        """Return the timestamps of positions 1…last_seq in milliseconds since 1970. Raises as `read` does."""
        times = array("q")
        for _, page in await self.digests.load(session_id, last_seq, life):
            times.extend(unpack_times(page))
        for first in range(len(times) + 1, last_seq + 1, DIGEST_PAGE):
            rest = await self.read_ids(session_id, first, min(first + DIGEST_PAGE - 1, last_seq))
            times.extend(to_millis(timestamp) for _, _, timestamp in rest)
        return times

    async def close(self) -> None:
        """Stop writing, and cancel the unfinished appends."""
        for lane in self._lanes:
            await lane.close()


def _is_of(document: Document, life: int | None) -> bool:
    return life == ANY_LIFE or bool(document.get("life") == life)


def _seq(document: Document) -> int:
    return int(document["seq"])


def _require_all(session_id: str, wanted: Sequence[int], found: Sequence[int]) -> None:
    """Raise LogHole unless all wanted seqs are found. Both are sorted."""
    if len(found) == len(wanted):
        return
    there = set(found)
    raise LogHole(session_id, next(seq for seq in wanted if seq not in there))
