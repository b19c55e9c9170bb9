"""Waiting between attempts, giving up, and telling of outages."""

from __future__ import annotations

import asyncio
import logging

from turnwire.connecting.backoff import Backoff
from turnwire.connecting.link import Lost
from turnwire.errors import Unreachable

log = logging.getLogger("turnwire")


class Patience:
    """How long one client goes on trying. `limit` is the longest time without a gateway, in seconds; None for ever.

    Warns once when an outage begins and once when it ends, in the name of `who`. A break that the gateway has announced
    is an outage only if the next attempt fails too.
    """

    def __init__(self, limit: float | None, who: str) -> None:
        self.limit = limit
        self.last_problem: str | None = None
        """Why the last attempt failed."""
        self._who = who
        self._backoff = Backoff()
        self._seen_at = _now()
        self._away_since: float | None = None
        self._warned = False

    def connected(self, waiting: int = 0) -> None:
        """A connection is open. `waiting` is how many events the outage has held up."""
        if self._away_since is not None and self._warned:
            held_up = f"; {waiting} event{'s' * (waiting != 1)} waited" if waiting else ""
            log.warning("%s: connected again after %.1f s%s", self._who, _now() - self._away_since, held_up)
        self._away_since, self._warned = None, False

    def seen(self) -> None:
        """The gateway was there just now."""
        self._seen_at = _now()

    def progress(self) -> None:
        """The connection does what it is for: the next attempt will be a first one."""
        self._seen_at = _now()
        self._backoff.reset()

    async def pause(self, lost: Lost) -> None:
        """Wait before the next attempt. Raises Unreachable when it would be after the limit."""
        self.last_problem = str(lost)
        delay = self._backoff.next_delay(lost.retry_after)
        if self.limit is not None and _now() + delay > self._seen_at + self.limit:
            raise Unreachable(f"gave up after {self.limit:g} s: {lost}") from None
        self._tell(lost, delay)
        await asyncio.sleep(delay)

    def _tell(self, lost: Lost, delay: float) -> None:
        announced = lost.announced and self._away_since is None
        if self._away_since is None:
            self._away_since = _now()
        if self._warned or announced:
            log.info("%s: %s; next attempt in %.1f s", self._who, lost, delay)
        else:
            self._warned = True
            log.warning("%s: no connection, trying again until there is one: %s", self._who, lost)


def _now() -> float:
    return asyncio.get_running_loop().time()
