"""Finds out whether the storage can be used, without asking it too often."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from turnwire.store.condition import AWAY, StorageState

_log = logging.getLogger("turnwire.health")
_FRESH_SECONDS = 1.0
_FRESH_DOWN_SECONDS = 0.1
"""The same for an answer that the storage cannot be used: traffic should come soon after it can, as at a start."""
_RECENT_SECONDS = 3.0
"""The same for those who would rather have an older answer than wait, if somebody asks every second or so."""
_UNKNOWN = StorageState(False, AWAY)


class StorageProbe:
    """The last known state of the storage, refreshed by a ping that all callers share: at most once a second, or ten
    times while the storage cannot be used.

    Owner of the ping's task, of which there is at most one.
    """

    def __init__(self, ask: Callable[[], Awaitable[StorageState]]) -> None:
        self._ask_storage = ask
        self._answer = _UNKNOWN
        self._fresh_until = self._recent_until = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._asked_at = 0.0

    async def is_up(self, patience: float | None = None) -> bool:
        return (await self.state(patience)).up

    async def state(self, patience: float | None = None) -> StorageState:
        """Return the state, waiting for a ping if the last answer is old.

        After `patience` seconds, return the last known state instead.
        """
        task = self._begin_if_old()
        if task is not None:
            await asyncio.wait([task], timeout=patience)
        return self._answer

    async def recent_state(self, patience: float) -> StorageState:
        """Return the state of some seconds ago at once, if it is known, and refresh it for the next call.

        Otherwise as `state`. A ping waits for what the database has to do before it.
        """
        task = self._begin_if_old()
        if task is not None and asyncio.get_running_loop().time() >= self._recent_until:
            await asyncio.wait([task], timeout=patience)
        return self._answer

    def _begin_if_old(self) -> asyncio.Task[None] | None:
        """Return the ping under way, begun now if the last answer is old; None if that is fresh."""
        loop = asyncio.get_running_loop()
        if self._task is None and loop.time() >= self._fresh_until:
            self._task = loop.create_task(self._ask(), name="storage-ping")
            self._asked_at = loop.time()
        return self._task

    @property
    def silence(self) -> float:
        """Seconds for which the current ping has had neither an answer nor an error; 0 without one."""
        return 0.0 if self._task is None else asyncio.get_running_loop().time() - self._asked_at

    async def _ask(self) -> None:
        try:
            self._answer = await self._ask_storage()
            fresh = _FRESH_SECONDS if self._answer.up else _FRESH_DOWN_SECONDS
            now = asyncio.get_running_loop().time()
            self._fresh_until, self._recent_until = now + fresh, now + _RECENT_SECONDS
        except Exception:
            self._answer = _UNKNOWN
            _log.exception("the storage could not even be asked")
        finally:
            self._task = None

    async def close(self) -> None:
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
