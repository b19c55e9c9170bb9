"""Places of work of which only a few pieces may be under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from turnwire.store.sharing.fair_queue import FairQueue


class Places:
    """A number of places, which waiting clients get equally."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    @asynccontextmanager
    async def hold(self, client: Hashable = None, cost: float = 1.0) -> AsyncIterator[None]:
        """Hold a place during the block, once it is this client's turn. `cost`: roughly how long the work takes,
        relative to the others'."""
        await self._enter(client, cost)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, client: Hashable, cost: float) -> None:
        if self._free:
            self._free -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put(place, client, cost)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        while self._waiting:
            place = self._waiting.take()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
