"""A time limit for waiting on the storage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from protocol.errors import StorageUnavailable


@asynccontextmanager
async def storage_deadline(seconds: float) -> AsyncIterator[None]:
    """Raises StorageUnavailable in the block when it takes longer: what it asked for may still be done."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise StorageUnavailable("the storage did not answer in time; try again") from None
