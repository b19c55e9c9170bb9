"""Finds unended sessions that are not in memory here, and ends those that nobody returns to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.items import AbandonItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.turns import A_FEW, Turns
from turnwire.protocol.errors import NoSuchSession, Overloaded, StorageUnavailable
from turnwire.store.event_log import READ_WINDOW
from turnwire.store.unended import UnendedSession

_AT_ONCE = 8


Reason = Literal["abandoned", "expired"]
_REASONS: tuple[Reason, ...] = ("abandoned", "expired")


class _Seen(Struct):
    """An unended session that is not in memory."""

    session: UnendedSession
    since: float
    """When its signs of life last changed, on the loop's clock."""
    caught_up: bool = False
    """Whether its log has been checked since then."""

    def is_unattended(self, context: Context, looked: float) -> bool:
        """Return whether its bot's commands are to be forgotten, as `instructing.is_unattended` decides."""
        return self.session.takes_commands and looked - self.since >= context.lapse_after

    def is_over(self, reason: Reason, context: Context, today: datetime, looked: float) -> bool:
        """Return whether the session is over for this reason.

        `looked`: when the signs were last read, on the loop's clock. Time since then does not count: newer signs may
        be in the store, or unable to get there.
        """
        if self.session.importing and not self.session.epoch:
            return False
        quiet = looked - self.since
        if reason == "abandoned":
            return self.session.epoch > 0 and quiet >= context.abandon_after
        return 0 < context.expire_after <= max(quiet, self.age(today))

    def age(self, today: datetime) -> float:
        """Return the seconds since the session's start or its last event, by the clocks that stamped them."""
        return (today - self.session.latest) / timedelta(seconds=1)


class Sweep:
    """Watches the signs of life of every unended session that is not in memory here. Owned by the task that calls it.

    A publisher at another gateway shows itself by the heartbeat and by events. A session without either for
    `abandon_after` seconds is opened and, if the store still agrees, ended.
    """

    def __init__(self, context: Context, sessions: LiveSessions, turns: Turns) -> None:
        self._context = context
        self._sessions = sessions
        self._turns = turns
        self._seen: dict[str, _Seen] = {}
        self._looked = context.clock()
        self._blind = False
        """Whether the last look failed. If so, no gateway may have been able to store a sign of life."""
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def look(self) -> None:
        """Read the signs of life of all unended sessions. Raises StorageUnavailable.

        Sessions whose stored fields are behind their log are opened, so that the fields are written.
        """
        try:
            found = await self._context.store.sessions.unended()
        except StorageUnavailable:
            self._blind = True
            raise
        now = self._looked = self._context.clock()
        before, self._seen = self._seen, {}
        first, quiet = not before, list[_Seen]()
        was_blind, self._blind = self._blind, False
        slices = self._turns.look_over()
        while found:  # what is left of the last look is freed a little at a time, too
            await slices.pause()
            session = found.pop()
            known = before.pop(session.session_id, None)
            if session.session_id not in self._sessions.live:
                if known is None or known.session.signs != session.signs:
                    known = _Seen(session, now)
                elif was_blind:
                    known.since = now
                self._seen[session.session_id] = known
                if not known.caught_up and (first or known.since < now):
                    quiet.append(known)
        await self._catch_up(quiet)

    async def _catch_up(self, quiet: Sequence[_Seen]) -> None:
        """Open those of these sessions whose fields are behind their log, some sessions at a time.

        At the first look, these are all sessions. Later on, a session with a fresh sign of life is left to the gateway
        that has it.
        """
        for start in range(0, len(quiet), READ_WINDOW):
            some = quiet[start : start + READ_WINDOW]
            heads = {seen.session.session_id: seen.session.last_seq for seen in some}
            ahead = await self._context.store.events.advanced(heads)
            for seen in some:
                seen.caught_up = True
            await asyncio.gather(*map(self._open, ahead))

    async def tend(self) -> None:
        """End the sessions that are over, and load those whose bot has vanished together with its gateway."""
        if not self._context.shared_database:
            self._note_no_change()
        today = utc_now()
        slices = self._turns.look_over()
        over, left = list[tuple[_Seen, Reason]](), list[_Seen]()
        for seen in tuple(self._seen.values()):
            reason = self._reason_of(seen, today)
            if reason is not None:
                over.append((seen, reason))
            elif seen.is_unattended(self._context, self._looked):
                left.append(seen)
            await slices.pause()
        for start in range(0, len(over), A_FEW):
            await asyncio.gather(*(self._end(seen, reason, today) for seen, reason in over[start : start + A_FEW]))
        for start in range(0, len(left), A_FEW):
            await asyncio.gather(*map(self._attend, left[start : start + A_FEW]))

    def _reason_of(self, seen: _Seen, today: datetime) -> Reason | None:
        """Return why the session is over; None if it is not."""
        reasons = (each for each in _REASONS if seen.is_over(each, self._context, today, self._looked))
        return next(reasons, None)

    def _note_no_change(self) -> None:
        """Without other gateways, record that the signs have not changed since they were read. While the storage was
        away, no bot could return, so the wait starts again."""
        self._looked = self._context.clock()
        if self._blind:
            self._blind = False
            for seen in self._seen.values():
                seen.since = self._looked

    async def _attend(self, seen: _Seen) -> None:
        """Load the session, so that the work on sessions in memory forgets its commands."""
        live = await self._open(seen.session.session_id)
        if live is None:
            return
        self._seen.pop(seen.session.session_id, None)
        if UnendedSession.of(live.state.record).signs == seen.session.signs:
            live.state.was_quiet(seen.since)

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
        """Open the session; return None if it is gone, memory is full or the store is away."""
        async with self._gate:
            try:
                return await self._sessions.open(session_id)
            except StorageUnavailable:
                self._blind = True
            except (NoSuchSession, Overloaded):
                pass  # there is nothing to end, or the next look finds it again
        return None
