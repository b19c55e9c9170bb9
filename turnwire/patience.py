"""Waiting between attempts, and giving up."""

from __future__ import annotations

import asyncio
import logging

from turnwire.backoff import Backoff
from turnwire.errors import Unreachable
from turnwire.link import Lost

log = logging.getLogger("turnwire")


class Patience:
    """How long one client goes on trying. `limit` is the longest time without a gateway, in seconds; None for ever."""

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self._backoff = Backoff()
        self._seen_at = _now()

    def seen(self) -> None:
        """The gateway was there just now."""
        self._seen_at = _now()

    def progress(self) -> None:
        """The connection does what it is for: the next attempt will be a first one."""
        self._seen_at = _now()
        self._backoff.reset()

    async def pause(self, lost: Lost) -> None:
        """Wait before the next attempt. Raises Unreachable when it would be after the limit."""
        delay = self._backoff.next_delay(lost.retry_after)
        if self.limit is not None and _now() + delay > self._seen_at + self.limit:
            raise Unreachable(f"gave up after {self.limit:g} s: {lost}") from None
        log.info("%s; next attempt in %.1f s", lost, delay)
        await asyncio.sleep(delay)


def _now() -> float:
    return asyncio.get_running_loop().time()
