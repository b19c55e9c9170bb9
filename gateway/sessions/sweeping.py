"""Unended sessions that no gateway has in memory: found in the store, and ended when nobody comes back to them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.items import AbandonItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.protocol.errors import NoSuchSession, Overloaded, StorageUnavailable
from turnwire.store.sessions import UnendedSession

_AT_ONCE = 8


Reason = Literal["abandoned", "expired"]


class _Seen(Struct):
    """An unended session that is not in memory."""

    session: UnendedSession
    since: float
    """Since when it has shown no sign of life, on the loop's clock."""
    caught_up: bool = False
    """Whether its log has been looked at since then."""

    def is_over(self, reason: Reason, context: Context, today: datetime, looked: float) -> bool:
        """`looked`: when the signs were last read. Later ones may be in the store, or be kept from it."""
        quiet = looked - self.since
        if reason == "abandoned":
            return self.session.epoch > 0 and quiet >= context.abandon_after
        return 0 < context.expire_after <= max(quiet, self.age(today))

    def age(self, today: datetime) -> float:
        """Seconds since the session or its last event began, by the clocks that stamped them."""
        return (today - self.session.latest) / timedelta(seconds=1)


class Sweep:
    """Keeps a few words of every unended session that is not in memory here. Owner of them: the one task that calls it.

    A publisher at another gateway shows by the heartbeat or by events. A session without any sign for `abandon_after`
    seconds is opened and, if the store still agrees, ended.
    """

    def __init__(self, context: Context, sessions: LiveSessions) -> None:
        self._context = context
        self._sessions = sessions
        self._seen: dict[str, _Seen] = {}
        self._looked = context.clock()
        self._blind = False
        """Whether the last look failed: nobody could show a sign then."""
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def look(self) -> None:
        """Read the signs of all unended sessions, and open those whose log has gone further than their fields say:
        these are written then. Raises StorageUnavailable."""
        try:
            found = await self._context.store.sessions.unended()
        except StorageUnavailable:
            self._blind = True
            raise
        now = self._looked = self._context.clock()
        before, self._seen = self._seen, {}
        was_blind, self._blind = self._blind, False
        for session in found:
            if session.session_id not in self._sessions.live:
                known = before.get(session.session_id)
                if known is None or known.session.signs != session.signs:
                    known = _Seen(session, now)
                elif was_blind:
                    known.since = now
                self._seen[session.session_id] = known
        await self._catch_up(first=not before)

    async def _catch_up(self, *, first: bool) -> None:
        """A session that has just shown a sign is left to the gateway that has it, unless this is the `first` look."""
        now = self._context.clock()
        quiet = [seen for seen in self._seen.values() if not seen.caught_up and (first or seen.since < now)]
        ahead = await self._context.store.events.advanced(
            {seen.session.session_id: seen.session.last_seq for seen in quiet}
        )
        for seen in quiet:
            seen.caught_up = True
        await asyncio.gather(*map(self._open, ahead))

    async def tend(self) -> None:
        """End the sessions that are over."""
        today = utc_now()
        reasons: tuple[Reason, ...] = ("abandoned", "expired")
        for reason in reasons:
            over = [seen for seen in self._seen.values() if seen.is_over(reason, self._context, today, self._looked)]
            await asyncio.gather(*(self._end(seen, reason, today) for seen in over))

    async def _end(self, seen: _Seen, reason: Reason, today: datetime) -> None:
        live = await self._open(seen.session.session_id)
        if live is None:
            return
        self._seen.pop(seen.session.session_id, None)
        if UnendedSession.of(live.state.record).signs == seen.session.signs:
            now = self._context.clock()
            live.state.was_quiet(min(seen.since, now - seen.age(today)) if reason == "expired" else seen.since)
        live.submit(AbandonItem(reason))

    async def _open(self, session_id: str) -> LiveSession | None:
        """None when there is nothing to open, or no room for it now."""
        async with self._gate:
            with suppress(NoSuchSession, Overloaded, StorageUnavailable):
                return await self._sessions.open(session_id)
        return None
