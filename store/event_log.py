"""The log of events: appended by group commit, read by computed keys.

An event's key is `"<sessionId>/<seq, 10 digits>"`. It is the one unique key there is: a position is taken once, by
whoever writes it first. Order, the absence of holes and the uniqueness of eventIds follow from it, given that a writer
numbers an event only when it knows the ids of all positions before it (`protocol.rules.Ledger`).
"""

from __future__ import annotations

import asyncio
import logging
import random
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import bson
from bson.errors import BSONError
from msgspec import Struct
from pymongo.errors import DocumentTooLarge, PyMongoError

from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import Event, EventIn
from turnwire.protocol.times import format_time, to_millis
from turnwire.store.digests import DigestStore, unpack_times
from turnwire.store.group_commit import GroupCommit
from turnwire.store.inserts import DUPLICATE_KEY, OrderedInsert

READ_WINDOW = 50
"""Positions asked for in one query; the embedded database's cost for a key grows with their number beyond this."""
MAX_COMMIT_BYTES = 4 * 1024 * 1024
_OVERHEAD = 256
"""Rough bytes of a stored event beside its payload, for the weight of a commit."""
_BACKOFF_SECONDS = (0.05, 1.0)

Document = dict[str, Any]
_log = logging.getLogger("turnwire.store")


def position_key(session_id: str, seq: int) -> str:
    return f"{session_id}/{seq:010d}"


def event_documents(session_id: str, events: Iterable[tuple[int, EventIn]]) -> list[Document]:
    """Events, each with its seq and an aware timestamp, as they are stored."""
    return [
        {
            "_id": f"{session_id}/{seq:010d}",  # position_key, without the call
            "sessionId": session_id,
            "seq": seq,
            "eventId": event.event_id,
            "type": event.type,
            "payload": event.payload,
            "timestamp": event.timestamp,
        }
        for seq, event in events
    ]


def event_of(document: Document) -> Event:
    return Event(
        event_id=document["eventId"],
        session_id=document["sessionId"],
        type=document["type"],
        payload=document["payload"],
        timestamp=format_time(document["timestamp"]),
        seq=document["seq"],
    )


class RefusedDocument(Exception):
    """The database will never store this document, whatever the state of anything else."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"document {index} was refused: {reason}")
        self.index = index
        self.reason = reason


class Appended(Struct, frozen=True):
    """How many documents of an append, from the first, are durable, and whether the next one may be too, unheard of."""

    stored: int
    unsure: bool


class _Append:
    """Consecutive events of one session, to be stored in order."""

    __slots__ = ("documents", "done", "stored", "unsure", "weight")

    def __init__(self, documents: Sequence[Document], payload_bytes: int) -> None:
        self.documents = documents
        self.weight = payload_bytes + _OVERHEAD * len(documents)
        self.stored = 0
        """How many of the documents, from the first, are known to be durable."""
        self.unsure = False
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(self.stored)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class EventLog:
    """Appends and reads events. Owner of the append lane: its group commit."""

    def __init__(self, database: Any) -> None:
        """On the collections `events` and `digests` of a Motor database."""
        self._events = database["events"]
        self._insert_ordered = OrderedInsert(database, "events")
        self.digests = DigestStore(database["digests"])
        self._lane: GroupCommit[_Append] = GroupCommit(self._commit, max_weight=MAX_COMMIT_BYTES)
        self.on_commit: Callable[[int, float], None] | None = None
        """Told of each commit: events stored, seconds it took."""

    async def append(self, session_id: str, documents: Sequence[Document], payload_bytes: int) -> Appended:
        """Store consecutive documents of one session, in order; returns when it is known how far that went.

        Fewer stored than all means that the position of the next one is taken: read on from there. While the database
        is away this waits; it never gives up on its own, and a caller that does leaves the outcome unknown. Raises
        RefusedDocument; of the others it is then not known.
        """
        append = _Append(documents, payload_bytes)
        self._lane.submit(append)
        return Appended(await append.done, append.unsure)

    async def read(self, session_id: str, first: int, last: int) -> list[Event]:
        """The events at positions first…last, in seq order; positions that hold none are left out. Costs the same
        wherever the positions are. Raises StorageUnavailable."""
        return await self.read_at(session_id, range(first, last + 1))

    async def read_at(self, session_id: str, seqs: Iterable[int]) -> list[Event]:
        """The events at these positions, in seq order. Raises StorageUnavailable."""
        documents = await self._find([position_key(session_id, seq) for seq in seqs])
        return [event_of(document) for document in sorted(documents, key=lambda document: int(document["seq"]))]

    async def read_spans(self, spans: Mapping[str, range]) -> dict[str, list[Event]]:
        """The same for several sessions, by sessionId; sessions that have none there are left out."""
        found: dict[str, list[Event]] = {}
        documents = await self._find([position_key(each, seq) for each, seqs in spans.items() for seq in seqs])
        for document in sorted(documents, key=lambda document: int(document["seq"])):
            found.setdefault(document["sessionId"], []).append(event_of(document))
        return found

    async def head_after(self, session_id: str, known: int) -> list[Event]:
        """The events after position `known`, as far as the log goes: what has been written that a writer has not seen.

        Windows grow, so that the usual answer (nothing) costs one key.
        """
        found: list[Event] = []
        width = 1
        while True:
            first = known + len(found) + 1
            window = await self.read(session_id, first, first + width - 1)
            for event in window:
                if event.seq != known + len(found) + 1:  # an event before it was stored while we were reading
                    return found
                found.append(event)
            if len(window) < width:
                return found
            width = min(width * 4, READ_WINDOW)

    async def _find(self, keys: Sequence[str], projection: dict[str, int] | None = None) -> list[Document]:
        documents: list[Document] = []
        try:
            for start in range(0, len(keys), READ_WINDOW):
                window = list(keys[start : start + READ_WINDOW])
                documents += await self._events.find({"_id": {"$in": window}}, projection).to_list(length=None)
        except PyMongoError as error:
            raise StorageUnavailable() from error
        return documents

    async def read_ids(self, session_id: str, first: int, last: int) -> list[tuple[int, str, datetime]]:
        """(seq, eventId, timestamp) of the positions first…last that hold an event, in order."""
        keys = [position_key(session_id, seq) for seq in range(first, last + 1)]
        documents = await self._find(keys, {"seq": 1, "eventId": 1, "timestamp": 1})
        return sorted((document["seq"], document["eventId"], document["timestamp"]) for document in documents)

    async def order_by_time(self, session_id: str, last_seq: int) -> list[int]:
        """The seqs 1…last_seq, ordered by timestamp, then seq. Raises StorageUnavailable."""
        times = array("q")
        for _, page in await self.digests.load(session_id, last_seq):
            times.extend(unpack_times(page))
        rest = await self.read_ids(session_id, len(times) + 1, last_seq)
        times.extend(to_millis(timestamp) for _, _, timestamp in rest)
        return sorted(range(1, len(times) + 1), key=lambda seq: times[seq - 1])

    # The lane

    async def _commit(self, batch: Sequence[_Append]) -> None:
        """Bring every append of the batch to its end, through whatever trouble the database has."""
        left = list(batch)
        attempt = 0
        at_most = sum(len(append.documents) for append in batch)
        while left:
            try:
                left = await self._insert(left, at_most)
                attempt = 0
            except DocumentTooLarge as error:
                if at_most == 1:
                    left[0].fail(RefusedDocument(left[0].stored, str(error)))
                    left = left[1:]
                at_most = max(1, at_most // 2)  # what is within the bound as JSON can be over the driver's as BSON
            except (BSONError, OverflowError, TypeError, ValueError) as error:
                left = self._drop_unencodable(left, error)
            except PyMongoError as error:
                # Unknown outcome: some, all or nothing may be stored, now or a little later.
                if attempt == 0:
                    _log.warning("storage trouble, %d appends wait and are tried again: %s", len(left), _brief(error))
                for append in left:
                    append.unsure = True
                await asyncio.sleep(_backoff(attempt))
                attempt += 1
                try:
                    left = await self._read_back(left)
                except StorageUnavailable:
                    continue

    async def _insert(self, appends: list[_Append], at_most: int) -> list[_Append]:
        """One ordered insert of what is not stored yet. Returns the appends that are not settled."""
        loop = asyncio.get_running_loop()
        documents = [document for append in appends for document in append.documents[append.stored :]]
        del documents[at_most:]
        started = loop.time()
        stored, error = await self._insert_ordered(documents)
        if self.on_commit is not None:
            self.on_commit(stored, loop.time() - started)
        return _settle(appends, stored, error)

    def _drop_unencodable(self, appends: list[_Append], cause: Exception) -> list[_Append]:
        """Fail the appends that hold what BSON cannot; a check before should have refused it."""
        good = []
        for append in appends:
            for index, document in enumerate(append.documents[append.stored :], start=append.stored):
                try:
                    bson.encode(document)
                except Exception as error:
                    append.fail(RefusedDocument(index, str(error)))
                    break
            else:
                good.append(append)
        if len(good) == len(appends):  # not a document's fault: do not try for ever
            for append in appends:
                append.fail(cause)
            return []
        return good

    async def _read_back(self, appends: list[_Append]) -> list[_Append]:
        """After an unknown outcome: end the appends whose next position is taken; returns the rest.

        An event there may be our own, or the same one written by another gateway, later and in a newer epoch: only
        who reads on from there can tell. Raises StorageUnavailable.
        """
        keys = [append.documents[append.stored]["_id"] for append in appends]
        taken = {document["_id"] for document in await self._find(keys, {"_id": 1})}
        left = []
        for key, append in zip(keys, appends, strict=True):
            if key in taken:
                append.finish()
            else:
                left.append(append)
        return left

    async def close(self) -> None:
        """Stop writing. Appends that are not settled are cancelled."""
        await self._lane.close()


def _settle(appends: list[_Append], stored: int, error: dict[str, Any] | None) -> list[_Append]:
    """Share out the `stored` documents of an ordered insert; returns the appends it did not come to the end of."""
    for position, append in enumerate(appends):
        taken = min(stored, len(append.documents) - append.stored)
        append.stored += taken
        stored -= taken
        if append.stored < len(append.documents):
            if error is None:
                return appends[position:]
            if error["code"] != DUPLICATE_KEY:
                append.fail(RefusedDocument(append.stored, str(error.get("errmsg", "refused"))))
            else:
                append.finish()
            return appends[position + 1 :]
        append.finish()
    return []


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n", 1)[0][:300]


def _backoff(attempt: int) -> float:
    low, high = _BACKOFF_SECONDS
    return random.uniform(0.5, 1.0) * min(high, low * 2.0 ** min(attempt, 10))
