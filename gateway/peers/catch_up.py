"""Reads from the database what other gateways have done to sessions in memory, many sessions in one query."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from turnwire.gateway.live.items import FoundItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.protocol.errors import Overloaded, StorageUnavailable
from turnwire.protocol.messages import Event
from turnwire.store.event_log import READ_WINDOW
from turnwire.store.mongo import Store
from turnwire.store.on_demand import OnDemandTask
from turnwire.store.sessions import MAX_UPDATES, SessionRecord

_WIDEN = 4
_RETRY_SECONDS = 0.5
_TRIES = 3
"""How often a position is read that is reported to be taken. After that, either the report was wrong, or polling finds
it."""
_INVISIBLE_SECONDS = 0.01


class _Span(Struct):
    """The part of a session's log that is to be read."""

    first: int
    """The next position to read."""
    reported: int = 0
    """The head of the log, as reported."""
    width: int = 0
    """The number of positions to read if no head was reported."""
    tries: int = 0

    @property
    def last(self) -> int:
        return max(self.reported, self.first + self.width - 1)

    def read(self, asked: int, found: int) -> None:
        """Note that `asked` positions were read, and that the first `found` of them held events."""
        self.first += found
        if found == asked:
            self.width, self.tries = min(READ_WINDOW, _WIDEN * self.width), 0
        else:
            self.width, self.tries = 0, self.tries + 1

    @property
    def done(self) -> bool:
        return self.first > self.last or self.tries == _TRIES


class CatchUp:
    """Reads what is new and hands it to the sessions' tasks. Its one task owns the list of what is to be read."""

    def __init__(self, store: Store, learn: Callable[[SessionRecord], None]) -> None:
        """`learn` is called with stored sessions whose state is to be adopted."""
        self._store = store
        self._learn = learn
        self._spans: dict[LiveSession, _Span] = {}
        self._records: dict[str, None] = {}
        self._task = OnDemandTask()

    def to_head(self, live: LiveSession, seq: int) -> None:
        """Read the session's log up to this seq, its reported head."""
        span = self._span(live)
        span.reported = max(span.reported, seq)

    def look(self, live: LiveSession) -> None:
        """Read whatever the session's log holds after the known head."""
        span = self._span(live)
        span.width = max(span.width, 1)

    def _span(self, live: LiveSession) -> _Span:
        span = self._spans.get(live)
        if span is None:
            span = self._spans[live] = _Span(live.state.record.last_seq + 1)
        self._task.wake(self._read)
        return span

    def reload(self, session_id: str) -> None:
        """Read the stored session, which another gateway is reported to have claimed or ended."""
        self._records[session_id] = None
        self._task.wake(self._read)

    async def _read(self) -> None:
        while self._records or self._spans:
            try:
                if self._records:
                    await self._read_records()
                if self._spans:
                    await self._read_spans()
            except StorageUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)

    async def _read_records(self) -> None:
        wanted = list(self._records)[:MAX_UPDATES]
        records = await self._store.sessions.load_all(wanted)
        for session_id in wanted:
            self._records.pop(session_id, None)
        for record in records:
            self._learn(record)

    async def _read_spans(self) -> None:
        asked, as_of = self._next_positions(), self._store.events.troubles
        spans = {live.session_id: (seqs, live.state.record.life) for live, seqs in asked.items()}
        found = await self._store.events.read_spans(spans)
        late = [self._found(live, seqs, found.get(live.session_id, []), as_of) for live, seqs in asked.items()]
        if asked and all(late):
            await asyncio.sleep(_INVISIBLE_SECONDS)

    def _next_positions(self) -> dict[LiveSession, range]:
        """Return the positions to read in the next query. Sessions take turns."""
        asked: dict[LiveSession, range] = {}
        room = READ_WINDOW
        for live, span in tuple(self._spans.items()):
            if live.state.erased:
                del self._spans[live]
                continue
            last = min(span.last, span.first + room - 1)
            asked[live] = range(span.first, last + 1)
            room -= len(asked[live])
            self._spans[live] = self._spans.pop(live)
            if not room:
                break
        return asked

    def _found(self, live: LiveSession, asked: range, events: list[Event], as_of: int) -> bool:
        """Hand over what has been found. Return whether something that should be there was missing."""
        whole = [event for seq, event in zip(asked, events, strict=False) if event.seq == seq]
        if whole:
            with suppress(Overloaded):  # with so many items waiting, the session learns of it anyway
                live.submit(FoundItem(whole, as_of))
        span = self._spans[live]
        span.read(len(asked), len(whole))
        if span.done:
            del self._spans[live]
            return False
        return len(whole) < len(asked)

    async def stop(self) -> None:
        await self._task.stop()
