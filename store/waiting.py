"""Waiting for the storage: up to a deadline, or until it answers."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from turnwire.protocol.errors import LogHole, StorageUnavailable

T = TypeVar("T")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_HOLES = 10
_EARLY = 0.001
"""Seconds by which a timer may fire too early, because uvloop counts in milliseconds."""
_A_SECOND = 100
_TOO_LATE = "the storage did not answer in time; try again"


@asynccontextmanager
async def storage_deadline(seconds: float) -> AsyncIterator[None]:
    """Raise StorageUnavailable if the block takes longer. The operation in it may still be carried out."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise StorageUnavailable(_TOO_LATE) from None


async def shared(task: asyncio.Task[T]) -> T:
    """Return the result of a task that several callers wait for. A caller that stops waiting does not cancel it.

    Raises the task's error, and StorageUnavailable if the task was cancelled, because the gateway stops.
    """
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        waiter = asyncio.current_task()
        if task.cancelled() and waiter is not None and not waiter.cancelling():
            raise StorageUnavailable("the gateway is going away; try again") from None
        raise


class Deadlines:
    """The deadlines of many futures, with a single timer. A timer for each would take longer to set and cancel than
    most answers take to arrive. The timer looks only at those that are due: tens of thousands may wait."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: dict[int, set[asyncio.Future[Any]]] = {}
        """Deadline in hundredths of a second, rounded up → futures."""
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = math.inf

    async def result(self, future: asyncio.Future[T], end: float) -> T:
        """Await the future's result. Raises StorageUnavailable if there is none by `end`, on the loop's clock."""
        moment = math.ceil(end * _A_SECOND)
        waiting = self._due.setdefault(moment, set())
        waiting.add(future)
        if moment < self._fires_at:
            self._set_timer(moment)
        try:
            return await future
        finally:
            waiting.discard(future)
            if not waiting and self._due.get(moment) is waiting:
                del self._due[moment]

    def _set_timer(self, moment: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(moment / _A_SECOND, self._expire)
        self._fires_at = moment

    def _expire(self) -> None:
        self._timer, self._fires_at = None, math.inf
        now = (self._loop.time() + _EARLY) * _A_SECOND
        for moment in [each for each in self._due if each <= now]:
            for future in self._due.pop(moment):
                if not future.done():
                    future.set_exception(StorageUnavailable(_TOO_LATE))
        if self._due:
            self._set_timer(min(self._due))


async def persist(operation: Callable[[], Awaitable[T]], wanted: asyncio.Future[Any] | None = None) -> T:
    """Repeat the operation until the storage answers, and return the result. The operation must be safe to repeat.

    Raises the last StorageUnavailable once `wanted` is done, because nobody waits for the result then. Raises LogHole
    after several seconds, because a server that merely lags would have caught up.
    """
    attempt = holes = 0
    while True:
        try:
            return await operation()
        except StorageUnavailable as error:
            holes += isinstance(error, LogHole)
            if holes == _HOLES or (wanted is not None and wanted.done()):
                raise
            await asyncio.sleep(pause_after(attempt))
            attempt += 1


def pause_after(attempt: int) -> float:
    """Return the seconds to wait after a failed attempt (from 0): doubled each time, up to a limit, with jitter."""
    return random.uniform(0.5, 1.0) * min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempt, 10))
