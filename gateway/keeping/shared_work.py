"""Periodic work that one of all gateways does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import uuid4

from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.keeping.leases import Leases, WorkLease

LEASE_SECONDS: Final = 60.0
"""A gateway that has not renewed its lease for this long has lost it to any other gateway."""
RENEW_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 20.0
"""Pause between two looks at the lease of another gateway."""
_log = logging.getLogger("turnwire.keeping")


class SharedWork:
    """One kind of work, as seen by one gateway. Owned by the task that calls `attend`.

    The work must be safe to do twice, because a gateway that was frozen may continue for a moment after another one has
    begun.
    """

    def __init__(
        self, leases: Leases, name: str, interval: float, *, clock: Callable[[], float], now: Callable[[], datetime]
    ) -> None:
        """`interval`: seconds from the end of one run to the beginning of the next. `clock` is the loop's."""
        self._leases = leases
        self._name = name
        self._interval = interval
        self._clock = clock
        self._now = now
        self._holder = uuid4().hex
        self._seen, self._since = WorkLease(), clock()
        """The lease at the last look, and the time since which it has not changed."""
        self._asked = False

    async def attend(self, work: Callable[[], Awaitable[None]]) -> float:
        """Do the work if it is time and no other gateway is doing it. Return the seconds to wait before the next call.

        The first call never waits for the interval. Raises StorageUnavailable, and whatever the work raises.
        """
        pause = min(LOOK_SECONDS, self._interval)
        lease = await self._leases.read(self._name)
        wait = self._wait_for(lease)
        self._asked = True
        if wait > 0:
            return min(pause, wait)
        held = await self._leases.take(self._name, lease, self._holder)
        if held is not None:
            await self._do(held, work)
        return pause

    def _wait_for(self, lease: WorkLease) -> float:
        """Return how many seconds are left until the work may be done here."""
        now = self._clock()
        if lease != self._seen:
            self._seen, self._since = lease, now
        if lease.holder is not None and lease.holder != self._holder:
            return self._since + LEASE_SECONDS - now
        if lease.holder is not None or lease.done_at is None or not self._asked:
            return 0.0
        left = self._interval - (self._now() - lease.done_at).total_seconds()
        return left if left <= self._interval else 0.0  # a clock was wrong

    async def _do(self, held: WorkLease, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work, and renew the lease meanwhile. Stop if another gateway takes the lease."""
        working = asyncio.ensure_future(work())
        renewing = asyncio.create_task(self._renew(held, working))
        try:
            await asyncio.wait([working, renewing])
        except asyncio.CancelledError:  # the gateway stops: another one continues once the lease has run out
            working.cancel()
            renewing.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)
            raise
        if working.cancelled():
            _log.warning("another gateway continues with %s", self._name)
            return
        with suppress(StorageUnavailable):  # otherwise the lease runs out
            await self._leases.give_back(self._name, renewing.result(), self._now())
        working.result()

    async def _renew(self, held: WorkLease, working: asyncio.Future[None]) -> WorkLease:
        """Renew the lease until the work is done, and return it. Cancel the work if the lease is lost."""
        since = self._clock()
        while True:
            await asyncio.wait([working], timeout=RENEW_SECONDS)
            if working.done():
                return held
            began = self._clock()
            with suppress(StorageUnavailable):
                renewed = await self._renewed(held)
                if renewed is None:
                    break
                held, since = renewed, began
            if self._clock() - since >= LEASE_SECONDS:
                break
        working.cancel()
        return held

    async def _renewed(self, held: WorkLease) -> WorkLease | None:
        """Return the renewed lease; None if it is lost."""
        renewed = await self._leases.take(self._name, held, self._holder)
        if renewed is None:  # unless the last renewal did reach the database, though its answer was lost
            found = await self._leases.read(self._name)
            return found if found.holder == self._holder else None
        return renewed
