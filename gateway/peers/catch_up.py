"""What others have done to sessions in memory, read from the database: many sessions in one query."""

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
"""A position that is said to be taken is looked for so often; then whoever said so was wrong, or polling finds it."""
_INVISIBLE_SECONDS = 0.01


class _Span(Struct):
    """What is to be read of a session's log."""

    first: int
    """The next position to be read."""
    said: int = 0
    """How far the log is said to go."""
    width: int = 0
    """How many positions to look at when nobody has said how far it goes."""
    tries: int = 0

    @property
    def last(self) -> int:
        return max(self.said, self.first + self.width - 1)

    def read(self, asked: int, found: int) -> None:
        """So many positions have been asked for, and from the first one on so many held events."""
        self.first += found
        if found == asked:
            self.width, self.tries = min(READ_WINDOW, _WIDEN * self.width), 0
        else:
            self.width, self.tries = 0, self.tries + 1

    @property
    def done(self) -> bool:
        return self.first > self.last or self.tries == _TRIES


class CatchUp:
    """Reads, and hands to the sessions' tasks, what is new. Owner of what is to be read, and of its one task."""

    def __init__(self, store: Store, learn: Callable[[SessionRecord], None]) -> None:
        """`learn` takes over a session as it is stored."""
        self._store = store
        self._learn = learn
        self._spans: dict[LiveSession, _Span] = {}
        self._records: dict[str, None] = {}
        self._task = OnDemandTask(self._read)

    def to_head(self, live: LiveSession, seq: int) -> None:
        """The log of the session is said to go to this seq."""
        span = self._span(live)
        span.said = max(span.said, seq)

    def look(self, live: LiveSession) -> None:
        """See whether the log of the session goes on."""
        span = self._span(live)
        span.width = max(span.width, 1)

    def _span(self, live: LiveSession) -> _Span:
        span = self._spans.get(live)
        if span is None:
            span = self._spans[live] = _Span(live.state.record.last_seq + 1)
        self._task.wake()
        return span

    def reload(self, session_id: str) -> None:
        """The stored session is said to be new: claimed by another gateway, or ended."""
        self._records[session_id] = None
        self._task.wake()

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
        found = await self._store.events.read_spans({live.session_id: seqs for live, seqs in asked.items()})
        late = [self._found(live, seqs, found.get(live.session_id, []), as_of) for live, seqs in asked.items()]
        if asked and all(late):
            await asyncio.sleep(_INVISIBLE_SECONDS)

    def _next_positions(self) -> dict[LiveSession, range]:
        """What to ask for next, within one query. The sessions come in turn."""
        asked: dict[LiveSession, range] = {}
        room = READ_WINDOW
        for live, span in tuple(self._spans.items()):
            last = min(span.last, span.first + room - 1)
            asked[live] = range(span.first, last + 1)
            room -= len(asked[live])
            self._spans[live] = self._spans.pop(live)
            if not room:
                break
        return asked

    def _found(self, live: LiveSession, asked: range, events: list[Event], as_of: int) -> bool:
        """Hand over what has been found. Whether something that should be there was not."""
        whole = [event for seq, event in zip(asked, events, strict=False) if event.seq == seq]
        if whole:
            with suppress(Overloaded):  # so much waits that it is learned anyway
                live.submit(FoundItem(whole, as_of))
        span = self._spans[live]
        span.read(len(asked), len(whole))
        if span.done:
            del self._spans[live]
            return False
        return len(whole) < len(asked)

    async def stop(self) -> None:
        await self._task.stop()
