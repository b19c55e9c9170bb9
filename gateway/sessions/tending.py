"""Periodic work on live sessions: eviction, ends, heartbeats, and closing publishers that wait for the storage."""

from __future__ import annotations

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.ending import is_over
from turnwire.gateway.live.instructing import is_unattended
from turnwire.gateway.live.items import AbandonItem, BeatItem, ExpireItem, LapseItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.turns import A_FEW, Turns
from turnwire.protocol.errors import CloseCode

_BEATS = 4
"""Number of heartbeats of a publisher in the time after which its session would be abandoned."""


class Tending:
    """Does the periodic work on all sessions in memory. Times are in seconds."""

    def __init__(
        self, context: Context, sessions: LiveSessions, turns: Turns, *, idle_evict: float, storage_timeout: float
    ) -> None:
        self._context = context
        self._sessions = sessions
        self._turns = turns
        self._idle_evict = idle_evict
        self._storage_timeout = storage_timeout
        self._next_beat = context.clock() + context.abandon_after / _BEATS

    async def tend(self) -> None:
        """Do what is due for all sessions, a few at a time."""
        now = self._context.clock()
        beat = now >= self._next_beat
        if beat:
            self._next_beat = now + self._context.abandon_after / _BEATS
        slices, ids = self._turns.look_over(), tuple(self._sessions.live)
        for start in range(0, len(ids), A_FEW):
            if start:
                await slices.pause()
            for session_id in ids[start : start + A_FEW]:
                live = self._sessions.live.get(session_id)
                if live is not None:  # otherwise it has left memory meanwhile
                    self._tend(live, beat=beat)

    def _tend(self, live: LiveSession, *, beat: bool) -> None:
        now = self._context.clock()
        self._sessions.memory.weigh(live.state)
        if live.state.publisher is not None:
            self._tend_published(live, now, beat=beat)
        elif not live.state.unwritten:
            self._tend_unpublished(live, now)
        if live.state.busy_since is None:
            self._tend_idle(live)

    def _tend_idle(self, live: LiveSession) -> None:
        if is_over(self._context, live.state, "expired"):
            live.submit(AbandonItem("expired"))
        commands = live.state.commands
        if commands is not None and commands.due(utc_now()):
            live.submit(ExpireItem())

    def _tend_published(self, live: LiveSession, now: float, *, beat: bool) -> None:
        state = live.state
        waited = 0.0 if state.busy_since is None else now - state.busy_since
        if state.publisher is not None and waited > self._storage_timeout:
            state.publisher.close(CloseCode.TRY_LATER, "the storage is away; reconnect and resume")
        if beat and self._context.shared_database and state.busy_since is None and not state.ended:
            live.submit(BeatItem())

    def _tend_unpublished(self, live: LiveSession, now: float) -> None:
        state = live.state
        if state.deserted:
            if state.busy_since is None:
                self._tend_deserted(live)
        elif live.idle:
            if now - state.last_used > self._idle_evict:
                self._sessions.evict(live)
            else:
                self._sessions.idle[live.session_id] = live

    def _tend_deserted(self, live: LiveSession) -> None:
        if is_over(self._context, live.state, "abandoned"):
            live.submit(AbandonItem("abandoned"))
        elif is_unattended(self._context, live.state):
            live.submit(LapseItem())
