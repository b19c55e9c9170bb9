"""Pages of sessions in their current state, whichever gateway has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final, Protocol, TypeAlias, TypeVar

from msgspec.structs import replace

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.conversing import freshen
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.sessions.log_heads import Head, heads_behind
from turnwire.gateway.turns import Slices, Turns
from turnwire.protocol.messages import Session, SessionStatus
from turnwire.protocol.rules import status_after_event
from turnwire.protocol.times import parse_time, to_millis
from turnwire.store.session_record import StoredSession
from turnwire.store.sessions import SessionQuery, SessionRecord
from turnwire.store.sharing.places import Places

SCAN_SECONDS: Final = 1.0
"""Seconds for which sessions are examined one after the other. The answer then says how far the search has come."""
_LEAST_SCANNED: Final = 2000
"""At least this many sessions are examined, so that a busy machine finds no less than an idle one, unless that takes
_LONGEST times as long.
"""
_LONGEST: Final = 5
_SCAN_PAGE: Final = 200
_AT_ONCE: Final = 2
"""The number of lists that are read at a time; one on the embedded database, which has one core. Each list may hold a
hundred sessions with all their stored metadata."""
_LONG_LIST: Final = 50
_UNENDED: Final[tuple[SessionStatus, ...]] = ("initiated", "active")

T = TypeVar("T")
Show: TypeAlias = Callable[[Session], T]
"""Turns a session of a list into a result as soon as it is decoded: usually its encoded form."""
Place = tuple[datetime, str]
"""(startedAt, sessionId)."""


class Index(Protocol):
    """Knows which sessions there are, in order, at little cost."""

    async def ordered_page(self, query: SessionQuery) -> list[str] | None:
        """Return the ids of a page of all stored sessions, in the order of the database; None if it cannot tell."""


class Pages:
    """Reads session documents, and takes from memory and from the logs what the documents lack. Owns no session.

    The gateway that has a session writes its lastSeq, lastEventAt and `active` with a delay. So if other gateways use
    the database, each page costs one more query for each 50 sessions. A gateway that is alone needs none, because
    everything unwritten is in its memory.
    """

    def __init__(
        self, context: Context, sessions: LiveSessions, index: Index | None = None, turns: Turns | None = None
    ) -> None:
        self._context = context
        self._index = index
        self._turns = turns or Turns()
        self._sessions = sessions
        self._lists = Places(_AT_ONCE if context.shared_database else 1)

    def turn(self, client: str | None = None, limit: int = _LONG_LIST) -> AbstractAsyncContextManager[None]:
        """Wait for one of the places for reading lists, and hold it during the block.

        Clients get equal shares of the places, and so do the short and the long lists of a client. `limit`: the most
        sessions.
        """
        return self._lists.hold((client, limit >= _LONG_LIST), float(limit))

    async def list_sessions(self, query: SessionQuery, show: Show[T], client: str | None = None) -> list[T]:
        """Return a page of sessions in their current state, once it is this client's turn. Raises
        StorageUnavailable."""
        async with self.turn(client, query.limit):
            sessions, _ = await self.find(query, show)
            return sessions

    async def find(self, query: SessionQuery, show: Show[T]) -> tuple[list[T], Place | None]:
        """Do the same within a `turn`. Also return where the search stopped, if it ran out of time before the page was
        full. Raises StorageUnavailable."""
        known = None if self._widens(query) else await self._indexed(query)
        if known is None:
            return await self.scan(query, show)
        return await self.show(known, query, show), None

    async def scan(self, query: SessionQuery, show: Show[T]) -> tuple[list[T], Place | None]:
        """Return sessions that pass `query.takes`, and where the search stopped if it ran out of time. Raises
        StorageUnavailable."""
        loop = asyncio.get_running_loop()
        began, examined = loop.time(), 0
        size = _SCAN_PAGE if query.more else query.limit
        widened = replace(query, status=tuple({*query.status, *_UNENDED})) if self._widens(query) else query
        found: list[T] = []
        before = query.before
        while True:
            page = await self.stored(replace(widened, limit=size, before=before))
            found += await self.show(page, query, show, filtered=True)
            if len(found) >= query.limit or len(page) < size:
                return found[: query.limit], None
            before = page[-1].started_at, page[-1].session_id
            size = _SCAN_PAGE
            examined += len(page)
            if _is_enough(examined, loop.time() - began):
                return found, before

    async def stored(self, query: SessionQuery) -> list[StoredSession]:
        """Read a page of stored sessions, within a `turn`, that meet the conditions that an index serves.

        With an `Index`, only those sessions are read. Otherwise the embedded database reads all that started in a
        window, and serves nobody else meanwhile.
        """
        known = await self._indexed(query)
        return await self._context.store.sessions.stored_page(query) if known is None else known

    async def _indexed(self, query: SessionQuery) -> list[StoredSession] | None:
        """Read the page that the index knows. Return None if it cannot tell, or if some of its sessions have been
        erased."""
        ids = None if self._index is None else await self._index.ordered_page(query)
        if ids is None:
            return None
        found = await self._context.store.sessions.load_stored(ids)
        return found if len(found) == len(ids) else None

    def _widens(self, query: SessionQuery) -> bool:
        """Return whether a wanted status and an unwanted one may be stored alike: `active` follows from the log."""
        return len(set(_UNENDED).intersection(query.status)) == 1

    async def show(
        self,
        stored: Sequence[StoredSession],
        query: SessionQuery,
        show: Show[T],
        *,
        filtered: bool = False,
    ) -> list[T]:
        """Return what `show` makes of these sessions in their current state, at most `query.limit` of them; with
        `filtered`, only of those that pass `query.takes`. Each session is decoded, shown and dropped before the next.
        Raises StorageUnavailable."""
        heads = await self._heads(stored)
        shown: list[T] = []
        slices = Slices(self._turns)
        for each in stored:
            await self._freshen(each.session_id)
            record = self._as_known(each.record(), heads.get(each.session_id))
            if not filtered or query.takes(record):
                shown.append(show(self._as_now(record, query)))
                if len(shown) == query.limit:
                    break
            await slices.pause()
        return shown

    async def _freshen(self, session_id: str) -> None:
        live = self._sessions.live.get(session_id)
        if live is not None:
            await freshen(live.state)

    async def _heads(self, stored: Sequence[StoredSession]) -> Mapping[str, Head]:
        """Return the heads of the logs that other gateways have continued."""
        if not self._context.shared_database:
            return {}
        known = {each.session_id: max(each.last_seq, self._last_seq(each.session_id)) for each in stored}
        return await heads_behind(self._context.store.events, known)

    def _last_seq(self, session_id: str) -> int:
        live = self._sessions.live.get(session_id)
        return 0 if live is None else live.state.record.last_seq

    def _as_known(self, record: SessionRecord, head: Head | None) -> SessionRecord:
        """Return the stored session together with what this gateway and the log know about it."""
        live = self._sessions.live.get(record.session_id)
        if live is not None and live.state.record.last_seq > record.last_seq:
            record.last_seq, record.last_event_at = live.state.record.last_seq, live.state.record.last_event_at
        if head is not None and head.seq > record.last_seq:
            record.last_seq, record.last_event_at = head.seq, head.at
        if record.last_seq:
            record.status = status_after_event(record.status)
        return record

    def _as_now(self, record: SessionRecord, query: SessionQuery) -> Session:
        """Return the live record, unless another gateway has gone further, or the record has just left the filter: a
        page stays as full as the query found it."""
        live = self._sessions.live.get(record.session_id)
        if live is None or live.state.is_behind(record) or not query.matches(live.state.record):
            return record.session()
        return live.state.session()

    def quiet_ms(self, session: Session) -> int | None:
        """Return for how many milliseconds no event of a listed session has arrived; None if it has ended, or if
        another gateway may know better.

        For a session that has left memory, the last timestamp decides, which may come from its bot's clock.
        """
        live = self._sessions.live.get(session.session_id)
        if session.ended_at is not None:
            return None
        if live is not None and live.state.record.last_seq == session.last_seq:
            return max(0, int((self._context.clock() - live.state.last_event_seen) * 1000))
        if session.last_event_at is None or self._context.shared_database:
            return None
        return max(0, to_millis(utc_now()) - to_millis(parse_time(session.last_event_at)))


def _is_enough(examined: int, seconds: float) -> bool:
    return seconds > SCAN_SECONDS and (examined >= _LEAST_SCANNED or seconds > _LONGEST * SCAN_SECONDS)
