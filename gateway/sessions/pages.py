"""Pages of sessions as they are now, whichever gateway has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from turnwire.gateway.live.context import Context
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.sessions.log_heads import heads_behind
from turnwire.protocol.messages import Session, SessionStatus
from turnwire.protocol.rules import status_after_event
from turnwire.store.sessions import SessionQuery, SessionRecord

SCAN_SECONDS: Final = 1.0
"""Sessions are read one after the other for so long; then the answer says how far that came."""
_SCAN_PAGE: Final = 200
_AT_ONCE: Final = 2
"""Lists that are read at a time. Each may hold a hundred sessions with all their metadata."""
_UNENDED: Final[tuple[SessionStatus, ...]] = ("initiated", "active")

Place = tuple[datetime, str]
"""(startedAt, sessionId)."""


class Pages:
    """Reads session documents, and what they lack from memory and from the logs. Owns no session.

    The gateway that has a session writes its lastSeq, lastEventAt and `active` later. So where other gateways use the
    database, each page costs one more query for 50 sessions; alone, nothing: all that is unwritten is in memory.
    """

    def __init__(self, context: Context, sessions: LiveSessions) -> None:
        self._context = context
        self._sessions = sessions
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until few others read lists, and be one of them for the length of the block."""
        async with self._turns:
            yield

    async def list_sessions(self, query: SessionQuery) -> list[Session]:
        """A page of sessions, as they are now, once it is its turn. Raises StorageUnavailable."""
        async with self.turn():
            sessions, _ = await self.find(query)
            return sessions

    async def find(self, query: SessionQuery) -> tuple[list[Session], Place | None]:
        """The same within a `turn`, and where it stopped for lack of time, if the page is not full for that. Raises
        StorageUnavailable."""
        stopped = None
        if self._widens(query):
            records, stopped = await scan(self.page, query)
        else:
            records = await self.page(query)
        return self.as_now(records, query), stopped

    async def page(self, query: SessionQuery) -> list[SessionRecord]:
        """The next page of sessions that may pass the query, as they are now: whether they do, `query.takes` tells.
        Raises StorageUnavailable."""
        if self._widens(query):
            query = replace(query, status=tuple({*query.status, *_UNENDED}))
        records = await self._context.store.sessions.page(query)
        await self.bring_up(records)
        return records

    def _widens(self, query: SessionQuery) -> bool:
        """Whether a status that is wanted, and one that is not, may be stored alike: `active` follows from the log."""
        return len(set(_UNENDED).intersection(query.status)) == 1

    async def bring_up(self, records: Sequence[SessionRecord]) -> None:
        """Take over what this gateway knows and what the logs hold. Raises StorageUnavailable."""
        for record in records:
            live = self._sessions.live.get(record.session_id)
            if live is not None and live.state.record.last_seq > record.last_seq:
                record.last_seq, record.last_event_at = live.state.record.last_seq, live.state.record.last_event_at
        if self._context.shared_database:
            known = {record.session_id: record.last_seq for record in records}
            heads = await heads_behind(self._context.store.events, known)
            for record in records:
                head = heads.get(record.session_id)
                if head is not None:
                    record.last_seq, record.last_event_at = head.seq, head.at
        for record in records:
            if record.last_seq:
                record.status = status_after_event(record.status)

    def as_now(self, records: Sequence[SessionRecord], query: SessionQuery) -> list[Session]:
        """These sessions, as the query found them, as they are now."""
        return [self._as_now(record, query) for record in records]

    def _as_now(self, record: SessionRecord, query: SessionQuery) -> Session:
        """The live record, unless another gateway has gone further, or it has just left the filter: a page stays as
        full as the query found it."""
        live = self._sessions.live.get(record.session_id)
        if live is None or live.state.is_behind(record) or not query.matches(live.state.record):
            return record.session()
        return live.state.session()


async def scan(
    read: Callable[[SessionQuery], Awaitable[list[SessionRecord]]], query: SessionQuery
) -> tuple[list[SessionRecord], Place | None]:
    """Sessions that pass, and where it stopped for lack of time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SCAN_SECONDS
    size = _SCAN_PAGE if query.more else query.limit
    found: list[SessionRecord] = []
    before = query.before
    while True:
        page = await read(replace(query, limit=size, before=before))
        found += [record for record in page if query.takes(record)]
        if len(found) >= query.limit or len(page) < size:
            return found[: query.limit], None
        before = page[-1].started_at, page[-1].session_id
        size = _SCAN_PAGE
        if loop.time() > deadline:
            return found, before
