"""Imports past calls through the same tasks as live ones, so that figures, search and other gateways learn of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct

from turnwire.gateway.clock import utc_now
from turnwire.gateway.importing.comparing import Differs, check_begin, check_end, check_events, check_length
from turnwire.gateway.importing.lines import BadLine, Line
from turnwire.gateway.importing.past_call import PastCall, check_unique, read_call, read_events
from turnwire.gateway.live.claiming import holder_of
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.sessions.requests import Requests
from turnwire.gateway.turns import DECODING_SECONDS, Turns
from turnwire.protocol.errors import (
    InvalidMessage,
    MalformedEvent,
    NoSuchSession,
    Overloaded,
    StorageUnavailable,
    TurnwireError,
)
from turnwire.protocol.messages import EventIn, FinalStatus, Session, Shape
from turnwire.protocol.past_calls.lines import ImportOutcome, ImportResult
from turnwire.protocol.past_calls.times import NO_FUTURE
from turnwire.protocol.rules import has_ended
from turnwire.store.archive.manifest import ArchiveDamaged
from turnwire.store.event_log import READ_WINDOW
from turnwire.store.session_record import SessionRecord, new_life
from turnwire.store.waiting import pause_after

_PATIENCE = 30.0
"""Seconds for which a write is retried while the storage is away."""

T = TypeVar("T")


class _Batch(Struct):
    events: list[EventIn]
    weight: int
    """Size in bytes, as received."""


class _Named(Shape):
    session_id: str | None = None
    unreadable: str | None = None
    """Why the gateway could not read the session, in a line of a backup."""


class _Progress(Struct):
    """How much of one line has been read."""

    line: int
    session_id: str | None = None
    events: int = 0
    is_open: bool = False
    """Whether the session stores the line as it is read."""

    def outcome(self, result: ImportResult, error: TurnwireError | Differs | None = None) -> ImportOutcome:
        code = error.code if isinstance(error, TurnwireError) else None
        text = None if error is None else str(error)
        if result == "refused" and self.is_open:
            text = f"{text}; what comes before it is in an open session, which the corrected line completes"
        return ImportOutcome(self.line, self.session_id, result, self.events, code, text)


class Importer:
    """Stores lines of past calls, or compares them with what is stored. Lines of the same session wait for each other.

    The session is first created and marked as being imported. Then its events are appended, and then it ends. A crash
    in between leaves the session open and marked, and importing the same line again completes it.
    """

    def __init__(
        self, context: Context, sessions: LiveSessions, requests: Requests, turns: Turns | None = None
    ) -> None:
        self._context = context
        self._loop_turns = turns or Turns()
        self._sessions = sessions
        self._requests = requests
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """The locks of the sessions whose lines are being imported, by sessionId."""

    async def take(
        self, line: Line | BadLine, *, keep_open: bool = False, verify: bool = False, restore: bool = False
    ) -> ImportOutcome:
        """Store the line's call, or with `verify` only compare it. Return the outcome.

        With `restore`, the line comes from a backup: an open call stays open, and the stored session may have continued
        since.
        """
        progress = _Progress(line.number)
        if isinstance(line, BadLine):
            return progress.outcome("refused", line.error)
        named = _Named()
        with suppress(msgspec.DecodeError):
            named = msgspec.json.decode(line.head, type=_Named)
        progress.session_id = named.session_id
        try:
            if restore and named.unreadable is not None:
                raise InvalidMessage(f"it was not readable when the backup was made: {named.unreadable}")
            now = NO_FUTURE if restore else utc_now()
            await self._loop_turns.decode(len(line.head))
            call = read_call(line.head, self._context.limits, now, keep_open=keep_open or restore, restored=restore)
            async with self._turns.setdefault(call.session_id, asyncio.Lock()):
                batches = await self._batches(line, call, progress)
                result = await (self._verify(call, batches) if verify else self._store(call, batches, progress))
        except (Differs, ArchiveDamaged) as difference:
            return progress.outcome("different", Differs(str(difference)))
        except NoSuchSession as error:
            return progress.outcome("missing" if verify else "failed", error)
        except TurnwireError as error:
            return progress.outcome("failed" if error.retryable else "refused", error)
        return progress.outcome(result)

    async def _batches(self, line: Line, call: PastCall, progress: _Progress) -> AsyncIterator[_Batch]:
        """Return the line's events, checked. If the whole line has arrived, all are checked before any is stored."""
        batches = self._read(line, call, progress)
        if not line.whole:
            return batches
        checked = [batch async for batch in batches]
        check_unique(event for batch in checked for event in batch.events)
        return _each(checked)

    async def _read(self, line: Line, call: PastCall, progress: _Progress) -> AsyncIterator[_Batch]:
        async for texts in line.events:
            size = sum(map(len, texts))
            await self._loop_turns.next(size * DECODING_SECONDS)
            now = NO_FUTURE if call.restored else utc_now()
            events = read_events(texts, progress.events, self._context.limits, now)
            progress.events += len(events)
            call.saw(events)
            yield _Batch(events, size)

    # --- storing -----------------------------------------------------------------------------------------------------

    async def _store(self, call: PastCall, batches: AsyncIterator[_Batch], progress: _Progress) -> ImportResult:
        record = SessionRecord(
            call.session_id,
            call.language,
            call.started_at,
            status="active" if call.status == "active" else "initiated",
            metadata=call.metadata,
            life=new_life(),
            importing=True,
        )
        live, created = await self._patiently(lambda: self._sessions.create(record))
        try:
            with live.held():
                if not created:
                    await self._patiently(lambda: self._requests.bring_up_to_date(live))
                return await self._complete(live, call, batches, progress, created=created)
        finally:
            if self._sessions.live.get(call.session_id) is live:
                self._sessions.evict(live)
            if call.deserted:
                await self._leave(call.session_id)

    async def _leave(self, session_id: str) -> None:
        """Leave an open call in memory, as one whose publisher is gone. It ends unless a publisher connects."""
        self._sessions.renew(session_id)  # if somebody watches the session, it has stayed in memory
        with suppress(NoSuchSession, Overloaded, StorageUnavailable):
            await self._sessions.open(session_id)

    async def _complete(
        self, live: LiveSession, call: PastCall, batches: AsyncIterator[_Batch], progress: _Progress, *, created: bool
    ) -> ImportResult:
        """Add to the stored session what it lacks of the call. Raises Differs unless it is the beginning of the
        call."""
        session, record = live.state.session(), live.state.record
        check_begin(session, call)
        open_here = not has_ended(session.status)
        published = record.epoch > 0 and not (call.restored and holder_of(self._context, live.state) is None)
        if open_here and published and (call.ends or not call.restored):
            raise Differs("a publisher has claimed it, and it has not ended")
        progress.is_open = open_here and not published
        added = await self._walk(session, record.life, call, batches, may_append=progress.is_open)
        if not open_here:
            check_end(session, call)
            return _compared(session, call, added)
        if call.ends:
            await self._end(call)
            return "imported"
        whole = call.restored and not call.importing
        if created or added > 0 or (whole and record.importing):
            note = self._context.store.sessions.note_imported
            await self._patiently(lambda: note(record, utc_now(), whole=whole, deserted=call.deserted))
        return "imported" if created or added > 0 else _compared(session, call, added)

    async def _end(self, call: PastCall) -> None:
        status: FinalStatus = "completed" if call.status == "completed" else "failed"
        session, _ = await self._patiently(
            lambda: self._requests.complete(call.session_id, status, call.end_reason, call.end)
        )
        check_end(session, call)  # another importer may have been faster

    async def _append(self, session_id: str, first: int, batch: _Batch) -> None:
        """Append events. The first of them must become number `first` of the log."""
        stored = await self._patiently(lambda: self._requests.append(session_id, batch.events, batch.weight))
        for seq, each in enumerate(stored, first):
            if each.event.seq < seq:
                raise MalformedEvent(f"eventId {each.event.event_id!r} is in the line twice")
            if each.event.seq > seq:
                raise Differs("another client is writing to it")

    # --- comparing ---------------------------------------------------------------------------------------------------

    async def _verify(self, call: PastCall, batches: AsyncIterator[_Batch]) -> ImportResult:
        view = await self._patiently(lambda: self._requests.view(call.session_id))
        check_begin(view.session, call)
        added = await self._walk(view.session, view.life, call, batches, may_append=False)
        check_end(view.session, call)
        return _compared(view.session, call, added)

    async def _walk(
        self, session: Session, life: int | None, call: PastCall, batches: AsyncIterator[_Batch], *, may_append: bool
    ) -> int:
        """Compare the events with the session's log, and append those after its end.

        Return the number of those, or a negative number if the log continues after the last event.
        """
        at, head = 0, session.last_seq
        async for batch in batches:
            known, new = batch.events[: max(0, head - at)], batch.events[max(0, head - at) :]
            await self._compare(session.session_id, life, at + 1, known)
            if new:
                if not may_append:
                    raise Differs(f"it has {head} events, and the line has more")
                await self._append(session.session_id, at + len(known) + 1, _Batch(new, batch.weight))
            at += len(batch.events)
        check_length(session, call, at)
        return at - head

    async def _compare(self, session_id: str, life: int | None, first: int, events: Sequence[EventIn]) -> None:
        for start in range(0, len(events), READ_WINDOW):
            window = events[start : start + READ_WINDOW]
            at = first + start
            last = at + len(window) - 1
            log = self._context.store.events
            stored = await self._patiently(lambda: log.read(session_id, at, last, life))  # noqa: B023 -- awaited at once
            check_events(stored, window)

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeat the work while the storage or the gateway is busy. The work must be safe to repeat."""
        attempt, end = 0, self._context.clock() + _PATIENCE
        while True:
            try:
                return await work()
            except (StorageUnavailable, Overloaded) as error:
                if isinstance(error, ArchiveDamaged) or self._context.clock() >= end:
                    raise
            await asyncio.sleep(pause_after(attempt))
            attempt += 1


def _compared(session: Session, call: PastCall, added: int) -> ImportResult:
    """Return the result for a call that is already stored, unchanged or with later additions."""
    return "ahead" if added < 0 or has_ended(session.status) != call.ends else "unchanged"


async def _each(batches: Sequence[_Batch]) -> AsyncIterator[_Batch]:
    for batch in batches:
        yield batch
