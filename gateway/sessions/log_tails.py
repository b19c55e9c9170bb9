"""Stores what a leaving gateway knows about logs, so that the next one need not read them event by event."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.digests import MIN_TAIL
from turnwire.store.mongo import Store

_AT_ONCE: Final = 20
_log = logging.getLogger("turnwire.sessions")


class LogTails:
    """Stores the tails of the sessions that continue elsewhere. Holds no state."""

    def __init__(self, store: Store, sessions: LiveSessions) -> None:
        self._store = store
        self._sessions = sessions

    async def save(self, seconds: float) -> None:
        """Store as many tails as possible in this time, longest first. Call this when no session is at work.

        Reading the logs of 20 calls event by event takes the embedded database seconds, during which everybody waits.
        """
        states = sorted(filter(self._is_worth_it, self._states()), key=lambda state: -state.log.tail_length)
        with suppress(StorageUnavailable):
            try:
                async with asyncio.timeout(seconds):
                    for start in range(0, len(states), _AT_ONCE):
                        await self._save(states[start : start + _AT_ONCE])
            except TimeoutError:
                _log.info("the database was too slow to store the ends of all logs; the next gateway reads them itself")

    def _states(self) -> Iterable[SessionState]:
        return [live.state for live in self._sessions.live.values()]

    def _is_worth_it(self, state: SessionState) -> bool:
        goes_on = not (state.ended or state.erased)
        return goes_on and state.log.tail_length >= MIN_TAIL and self._is_sure(state)

    def _is_sure(self, state: SessionState) -> bool:
        """Return whether the known end of the log is certainly stored, and does not move."""
        return state.busy_since is None and state.log.as_of == self._store.events.troubles

    async def _save(self, states: Iterable[SessionState]) -> None:
        tails = [(state.session_id, state.record.life, state.log.tail()) for state in states if self._is_sure(state)]
        if tails:
            await self._store.events.digests.save_tails(tails)
