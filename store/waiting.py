"""Waiting for the storage: for a while, or for as long as it takes."""

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
    """Raises StorageUnavailable in the block when it takes longer: what it asked for may still be done."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise StorageUnavailable(_TOO_LATE) from None


async def answered(future: asyncio.Future[T], seconds: float) -> T:
    """The future's result. Raises StorageUnavailable when it takes longer, as `storage_deadline`, and at less cost."""
    timer = future.get_loop().call_later(seconds, _expire, future)
    try:
        return await future
    finally:
        timer.cancel()


def _expire(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(StorageUnavailable(_TOO_LATE))


async def persist(operation: Callable[[], Awaitable[T]], wanted: asyncio.Future[Any] | None = None) -> T:
    """Do it again and again while the storage is away; or until nobody waits for `wanted`, then its error is raised.

    The operation must be one that may be done twice. A hole in the log that does not close in some seconds is raised:
    it is no server that lags behind.
    """
    pause = _FIRST_PAUSE
    holes = 0
    while True:
        try:
            return await operation()
        except StorageUnavailable as error:
            holes += isinstance(error, LogHole)
            if holes == _HOLES or (wanted is not None and wanted.done()):
                raise
            await asyncio.sleep(random.uniform(0.5, 1.0) * pause)
            pause = min(_LONGEST_PAUSE, pause * 2)
