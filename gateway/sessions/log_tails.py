"""Stores what a leaving gateway knows about logs, so that the next one need not read them event by event."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import Final

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.turns import A_FEW, some_in_each_pass
from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.digests import MIN_TAIL
from turnwire.store.mongo import Store

_AT_ONCE: Final = 20
_log = logging.getLogger("turnwire.sessions")


class LogTails:
    """Stores the tails of the sessions that continue elsewhere. Knows which it has stored."""

    def __init__(self, store: Store, sessions: LiveSessions) -> None:
        self._store = store
        self._sessions = sessions
        self._saved: dict[str, int] = {}
        """sessionId → the head of the log when its tail was stored."""

    async def save(self, seconds: float) -> None:
        """Store as many tails as possible in this time, longest first, if much has come since they were last stored.

        Reading the logs of 20 calls event by event takes the embedded database seconds, during which everybody waits.
        """
        with suppress(StorageUnavailable):
            try:
                async with asyncio.timeout(seconds):
                    left = await self._longest_first()
                    while states := list(islice(left, _AT_ONCE)):
                        await self._save(states)
            except TimeoutError:
                _log.info("the database was too slow to store the ends of all logs; the next gateway reads them itself")

    async def _longest_first(self) -> Iterator[SessionState]:
        """Return the sessions whose tails are worth storing. They are not sorted one by one: that takes a pass of the
        loop 50 ms for 50,000 of them."""
        by_length = defaultdict[int, list[SessionState]](list)
        async for live in some_in_each_pass(tuple(self._sessions.live.values()), A_FEW):
            if self._is_worth_it(live.state):
                by_length[live.state.log.tail_length].append(live.state)
        return chain.from_iterable(by_length[length] for length in sorted(by_length, reverse=True))

    def _is_worth_it(self, state: SessionState) -> bool:
        goes_on = not (state.ended or state.erased)
        new = state.record.last_seq - self._saved.get(state.session_id, 0)
        return goes_on and min(new, state.log.tail_length) >= MIN_TAIL and self._is_sure(state)

    def _is_sure(self, state: SessionState) -> bool:
        """Return whether what is known of the log is whole, and certainly stored."""
        return state.log.whole and state.log.as_of == self._store.events.troubles

    async def _save(self, states: Iterable[SessionState]) -> None:
        sure = [state for state in states if self._is_sure(state)]
        if sure:
            heads = {state.session_id: state.record.last_seq for state in sure}
            tails = [(state.session_id, state.record.life, state.log.tail()) for state in sure]
            await self._store.events.digests.save_tails(tails)
            self._saved |= heads
