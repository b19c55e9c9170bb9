"""Fields of session documents that are written now and then, in few bulks, instead of with every event."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from turnwire.gateway.live.inbox import Renew
from turnwire.store.sessions import MAX_UPDATES

if TYPE_CHECKING:
    from turnwire.gateway.live.live_session import LiveSession
    from turnwire.store.sessions import SessionStore


class LazyFields:
    """The live sessions whose fields are newer in memory than in the store. What is lost of it in a crash is found
    again in the log."""

    def __init__(self, sessions: SessionStore) -> None:
        self._sessions = sessions
        self._due: dict[LiveSession, bool] = {}
        """Whether the status is one of the unwritten fields."""
        self._writing = asyncio.Lock()

    def __contains__(self, live: LiveSession) -> bool:
        return live in self._due

    def __bool__(self) -> bool:
        return bool(self._due)

    def mark(self, live: LiveSession, *, status: bool = False) -> None:
        """It has fields to be written with the next flush; `status` tells whether that is one of them."""
        self._due[live] = self._due.get(live, False) or status

    def written(self, live: LiveSession) -> None:
        """All its fields have just been written by other means."""
        if not live.log.full_pages:
            self._due.pop(live, None)

    async def flush(self) -> None:
        """Write all. Raises StorageUnavailable; what is not written stays due."""
        await self._write(list(self._due))

    async def flush_statuses(self) -> None:
        """Write those whose status is not in the store yet, before a query that filters by it."""
        async with self._writing:
            pass  # what is being written is no longer due, and not there yet
        await self._write([live for live, status in self._due.items() if status])

    async def _write(self, lives: Sequence[LiveSession]) -> None:
        for start in range(0, len(lives), MAX_UPDATES):
            async with self._writing:
                await self._write_some(lives[start : start + MAX_UPDATES])

    async def _write_some(self, lives: Sequence[LiveSession]) -> None:
        due = {live: self._due.pop(live) for live in lives if live in self._due}
        try:
            ahead = await self._sessions.save_lazy_fields([live.record for live in due])
            for live in due:
                await live.log.save_full_pages()
        except BaseException:
            for live, status in due.items():
                self.mark(live, status=status)
            raise
        for live in due:
            if live.session_id in ahead:
                self.mark(live)
                live.submit(Renew(ahead[live.session_id]))
