"""What runs in the background and has to be ended: the tasks of a gateway, and the parts of its process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any

from turnwire.protocol.errors import StorageUnavailable

_log = logging.getLogger("turnwire.gateway")
_FASTEST_TICK, _SLOWEST_TICK = 0.05, 1.0
"""Seconds."""
_AGAIN_SECONDS = 1.1
"""Pause before a task that has not ended is cancelled again. Saying goodbye over Redis takes a second at most."""


class Periodic:
    """The background tasks of a gateway, which it owns until `stop`."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` once, in a task."""
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(_report)
        self._tasks.append(task)

    def every(self, pause: float, work: Callable[[], Awaitable[None]]) -> None:
        """Call `work` again and again, each time after `pause` seconds. An error does not end the repetition."""
        self.begin(_repeat(pause, work))

    async def stop(self) -> None:
        """End all tasks. Each is cancelled until it has ended: the Redis client can lose a cancellation."""
        left = {task for task in self._tasks if not task.done()}
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=_AGAIN_SECONDS)


class Started:
    """The parts that a process has started, each by its name in the log, with the function that ends it."""

    def __init__(self) -> None:
        self._parts: list[tuple[str, Callable[[], object]]] = []
        self.ending = ""
        """The name of the part that is being ended, or was ended last."""

    def add(self, name: str, end: Callable[[], object]) -> None:
        """Add a part that was started. `end` may return an awaitable."""
        self._parts.append((name, end))

    async def end(self) -> None:
        """End all parts, the last one first. An error in one does not prevent the end of the others."""
        while self._parts:
            self.ending, end = self._parts.pop()
            try:
                if isawaitable(ended := end()):
                    await ended
            except Exception:
                _log.exception("the end of %s failed", self.ending)


async def _repeat(pause: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(pause)
        try:
            await work()
        except StorageUnavailable:
            pass  # /health reports it; the next round tries again
        except Exception:
            _log.exception("unexpected error in %s", work)


def tick(wanted: float) -> float:
    """Return the wanted pause in seconds, limited to a range that neither wastes time nor reacts late."""
    return min(_SLOWEST_TICK, max(_FASTEST_TICK, wanted))


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("the task %s ended", task.get_coro(), exc_info=task.exception())
