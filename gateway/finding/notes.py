"""Notes of the sessions that a start of the search would not look at, and that are being changed.

They are in the search index before the change is stored, so that not even a killed gateway forgets such a session.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

SETTLED_SECONDS = 5.0
"""How long a note stays after the change. By then, the search has taken the change in."""


class Notes:
    """The notes of one search, which adds and removes them."""

    def __init__(self, keep: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        """`keep` writes the notes of these sessions."""
        self._keep = keep
        self._asked: dict[str, None] = {}
        self._turn = asyncio.Lock()
        self._open: Counter[str] = Counter()
        self._over: dict[str, float] = {}
        """Sessions whose changes are over, in the order of their ends, and when each ended."""

    @asynccontextmanager
    async def around(self, session_id: str) -> AsyncIterator[None]:
        """Note the session before it is changed. Concurrent notes are written together."""
        self._open[session_id] += 1
        self._over.pop(session_id, None)
        try:
            await self._note(session_id)
            yield
        finally:
            self._open[session_id] -= 1
            if not self._open[session_id]:
                del self._open[session_id]
                self._over[session_id] = time.monotonic()

    async def _note(self, session_id: str) -> None:
        self._asked[session_id] = None
        async with self._turn:
            if session_id not in self._asked:
                return
            asked, self._asked = self._asked, {}
            try:
                await self._keep(list(asked))
            except BaseException:
                self._asked = asked | self._asked
                raise

    def learned(self, session_ids: Sequence[str]) -> None:
        """Record that the search has read these sessions from the database. They had been noted before the start."""
        for session_id in session_ids:
            if session_id not in self._open:
                self._over[session_id] = time.monotonic()

    def take_settled(self) -> list[str]:
        """Remove and return the sessions whose notes may go, because the search has written everything that it was told
        about them."""
        until = time.monotonic() - SETTLED_SECONDS
        settled = []
        for session_id, since in self._over.items():
            if since > until:
                break
            settled.append(session_id)
        for session_id in settled:
            del self._over[session_id]
        return settled
