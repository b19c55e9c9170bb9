"""Does the database answer?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

_log = logging.getLogger("turnwire.health")
_FRESH_SECONDS = 1.0


class StorageProbe:
    """Whether the storage answers: asked at most once a second, one ping shared by all who ask meanwhile.

    Owner of the ping's task, of which there is at most one.
    """

    def __init__(self, ping: Callable[[], Awaitable[bool]]) -> None:
        self._ping = ping
        self._answer = False
        self._fresh_until = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def is_up(self, patience: float | None = None) -> bool:
        """Waits for the answer, or at most `patience` seconds for it and else says what was last known."""
        loop = asyncio.get_running_loop()
        if self._task is None:
            if loop.time() < self._fresh_until:
                return self._answer
            self._task = loop.create_task(self._ask(), name="storage-ping")
        await asyncio.wait([self._task], timeout=patience)
        return self._answer

    async def _ask(self) -> None:
        try:
            self._answer = await self._ping()
            self._fresh_until = asyncio.get_running_loop().time() + _FRESH_SECONDS
        except Exception:
            self._answer = False
            _log.exception("the storage could not even be asked")
        finally:
            self._task = None

    async def close(self) -> None:
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
