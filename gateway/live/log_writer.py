"""A live session's hold on its log: knows its eventIds, and brings new events into it."""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct, field

from turnwire.gateway.live.append_round import AppendRound
from turnwire.protocol.errors import Superseded
from turnwire.protocol.messages import Event, EventIn
from turnwire.protocol.rules import DIGEST_PAGE, Ledger, same_event
from turnwire.protocol.times import format_time, to_millis
from turnwire.store.digests import pack_times
from turnwire.store.event_log import READ_WINDOW, RefusedDocument, event_documents
from turnwire.store.sessions import SessionRecord
from turnwire.store.waiting import persist

if TYPE_CHECKING:
    from turnwire.store.mongo import Store

_log = logging.getLogger("turnwire.session")
_INVISIBLE_SECONDS = 0.01


class Durable(Struct):
    """What became durable in one round, in seq order, ours and others'."""

    events: list[tuple[int, EventIn] | Event] = field(default_factory=list)
    foreign: dict[str, Event] = field(default_factory=dict)
    """Those that others have written, by eventId."""
    record: SessionRecord | None = None
    """The session as it stood in the store when somebody else's event was found."""

    def last(self) -> tuple[int, str, datetime]:
        """(seq, eventId, timestamp) of the last one."""
        last = self.events[-1]
        if isinstance(last, Event):
            return last.seq, last.event_id, datetime.fromisoformat(last.timestamp)
        return last[0], last[1].event_id, time_of(last[1])

    def shaped(self, session_id: str) -> list[Event]:
        """All of them as the wire has them."""
        return [
            each
            if isinstance(each, Event)
            else Event(
                each[1].event_id,
                session_id,
                each[1].type,
                each[1].payload,
                format_time(time_of(each[1])),
                each[0],
            )
            for each in self.events
        ]


class LogWriter:
    """Writes one session's log. Owned by its LiveSession's task; nobody else calls it."""

    def __init__(self, store: Store, record: SessionRecord) -> None:
        self._store = store
        self._record = record
        self._ledger: Ledger | None = None
        self._times = array("q")  # of the events behind the last full page, in seq order
        self.full_pages: list[tuple[int, bytes, bytes]] = []
        """(page, ids, times) of full pages of the log that have not been kept yet."""

    @property
    def _session_id(self) -> str:
        return self._record.session_id

    def forget(self) -> None:
        """Drop what is known of the log; it is read again when it is needed."""
        self._ledger = None

    async def ledger(self) -> Ledger:
        """The eventIds of the log up to the record's lastSeq: its full pages by digest, the rest one by one."""
        if self._ledger is not None:
            return self._ledger
        ledger, times = Ledger(), array("q")
        head = self._record.last_seq
        log = self._store.events
        for ids, _ in await persist(lambda: log.digests.load(self._session_id, head)):
            ledger.add_digests(ids)
        while ledger.head < head:
            first, last = ledger.head + 1, min(ledger.head + READ_WINDOW, head)
            for seq, event_id, timestamp in await persist(
                lambda first=first, last=last: log.read_ids(self._session_id, first, last)  # type: ignore[misc]
            ):
                ledger.learn(seq, event_id)
                times.append(to_millis(timestamp))
            if ledger.head < last:
                raise RuntimeError(f"the log has a hole at seq={ledger.head + 1}, head={head}")
        self._ledger, self._times = ledger, times
        self._fold(ledger)
        return ledger

    async def stored(self, seqs: set[int]) -> dict[int, Event]:
        """The events at these positions."""
        if not seqs:
            return {}
        found = await persist(lambda: self._store.events.read_at(self._session_id, seqs))
        return {event.seq: event for event in found}

    async def commit(self, ledger: Ledger, round_: AppendRound, weight: int) -> Durable:
        """Bring all that is pending in the ledger into the log.

        Raises SupersededWith, with what became durable so far, when a newer publisher has been at it.
        """
        durable = Durable()
        while pending := list(ledger.pending()):
            await self._keep_time_order(durable, [time_of(event) for _, event in pending])
            documents = event_documents(self._session_id, pending)
            try:
                appended = await self._store.events.append(self._session_id, documents, weight)
            except RefusedDocument as error:
                refused = pending[error.index][1].event_id
                _log.error("session %r: %s", self._session_id, error)
                round_.refuse(refused, error.reason)
                ledger.drop_pending(refused)
                continue
            stored = appended.stored
            if stored == len(documents):
                ledger.settle()
                durable.events += pending
                break
            for seq, event in pending[:stored]:
                ledger.learn(seq, event.event_id)
            durable.events += pending[:stored]
            await self._read_on(ledger, durable, dict(pending[stored:]) if appended.unsure else {})
            if durable.record is not None and durable.record.epoch > self._record.epoch:
                ledger.forget_pending()
                raise SupersededWith(self._session_id, durable, durable.record.epoch)
        return durable

    async def _read_on(self, ledger: Ledger, durable: Durable, tried: Mapping[int, EventIn]) -> None:
        """The next position is taken: learn what stands there, and how the session stands.

        `tried` are events of ours that may have been stored where they were to go, without our hearing of it.
        """
        log = self._store.events
        while not (found := await persist(lambda: log.head_after(self._session_id, ledger.head))):
            await asyncio.sleep(_INVISIBLE_SECONDS)  # taken, but not yet on a majority
        for event in found:
            ledger.learn(event.seq, event.event_id)
            if not _is_stored_from(event, tried.get(event.seq)):
                durable.foreign[event.event_id] = event
        durable.events += found
        durable.record = await persist(lambda: self._store.sessions.load(self._session_id))
        if durable.record is not None:
            self._record.time_ordered &= durable.record.time_ordered

    async def _keep_time_order(self, durable: Durable, times: Sequence[datetime]) -> None:
        """Before an event is stored whose timestamp is before its predecessor's, that is noted on the session."""
        last = durable.last()[2] if durable.events else self._record.last_event_at
        if self._record.time_ordered and not rise(last, times):
            self._record.time_ordered = False
            await persist(lambda: self._store.sessions.mark_time_disordered(self._session_id))

    def advanced(self, durable: Durable) -> None:
        """These events have moved the head."""
        ledger = self._ledger
        if ledger is None:
            return
        for each in durable.events:
            if isinstance(each, Event) and each.seq > ledger.head:
                ledger.learn(each.seq, each.event_id)
        last, millis = None, 0
        for each in durable.events:
            moment = datetime.fromisoformat(each.timestamp) if isinstance(each, Event) else time_of(each[1])
            if moment is not last:  # those of one frame share theirs
                last, millis = moment, to_millis(moment)
            self._times.append(millis)

    def fold(self) -> None:
        """Keep full pages of the log as digests alone, to be saved."""
        if self._ledger is not None:
            self._fold(self._ledger)

    def _fold(self, ledger: Ledger) -> None:
        first = ledger.folded_pages
        for page, ids in enumerate(ledger.fold(), start=first):
            self.full_pages.append((page, ids, pack_times(self._times[:DIGEST_PAGE])))
            del self._times[:DIGEST_PAGE]

    async def save_full_pages(self) -> None:
        """Keep the full pages in the store. Raises StorageUnavailable."""
        while self.full_pages:
            page, ids, times = self.full_pages[0]
            await self._store.events.digests.save(self._session_id, page, ids, times)
            self.full_pages.pop(0)


class SupersededWith(Superseded):
    def __init__(self, session_id: str, durable: Durable, epoch: int) -> None:
        super().__init__(session_id)
        self.durable = durable
        self.epoch = epoch


def time_of(event: EventIn) -> datetime:
    """The timestamp of an admitted event."""
    assert event.timestamp is not None, "given when it was admitted"
    return event.timestamp


def _is_stored_from(found: Event, tried: EventIn | None) -> bool:
    """Whether this is the event that was tried, as we wrote it."""
    if tried is None or found.event_id != tried.event_id:
        return False
    return same_event(found, tried) and found.timestamp == format_time(time_of(tried))


def rise(last: datetime | None, times: Iterable[datetime]) -> bool:
    """Whether none of these times is before the one before it, the first one not before `last`."""
    given = list(times)
    return sorted(given) == given and (last is None or not given or last <= given[0])


def times_of(events: Iterable[Event]) -> Iterator[datetime]:
    return (datetime.fromisoformat(event.timestamp) for event in events)
