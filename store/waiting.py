"""Waiting for the storage: up to a deadline, or until it answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from turnwire.protocol.errors import LogHole, StorageUnavailable

T = TypeVar("T")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_HOLES = 10
_TOO_LATE = "the storage did not answer in time; try again"


@asynccontextmanager
async def storage_deadline(seconds: float) -> AsyncIterator[None]:
    """Raise StorageUnavailable if the block takes longer. The operation in it may still be carried out."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise StorageUnavailable(_TOO_LATE) from None


async def result_within(future: asyncio.Future[T], seconds: float) -> T:
    """Await the future's result. Raises StorageUnavailable if it takes longer. Cheaper than `storage_deadline`."""
    timer = future.get_loop().call_later(seconds, _expire, future)
    try:
        return await future
    finally:
        timer.cancel()


def _expire(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(StorageUnavailable(_TOO_LATE))


async def persist(operation: Callable[[], Awaitable[T]], wanted: asyncio.Future[Any] | None = None) -> T:
    """Repeat the operation, which must be safe to repeat, until the storage answers. Return its result.

    Raises the last StorageUnavailable once `wanted` is done: nobody waits for the result then. Raises LogHole after
    several seconds: a server that merely lags would have caught up.
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
