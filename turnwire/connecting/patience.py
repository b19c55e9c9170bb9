"""Waiting between attempts, giving up, and logging outages."""

from __future__ import annotations

import asyncio
import logging

from turnwire.connecting.backoff import Backoff
from turnwire.connecting.link import Lost
from turnwire.errors import Unreachable

log = logging.getLogger("turnwire")


class Patience:
    """The retries of one client. `limit` is the longest time without a gateway, in seconds; None means no limit.

    Logs one warning when an outage begins and one when it ends, naming the client `who`. A break that the gateway
    announced is an outage only if the next attempt fails too.
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
        """Note that a connection is open. `waiting` is the number of events that the outage delayed."""
        if self._away_since is not None and self._warned:
            held_up = f"; {waiting} event{'s' * (waiting != 1)} waited" if waiting else ""
            log.warning("%s: connected again after %.1f s%s", self._who, _now() - self._away_since, held_up)
        self._away_since, self._warned = None, False

    def seen(self) -> None:
        """Note that the gateway was there just now."""
        self._seen_at = _now()

    def progress(self) -> None:
        """Note that the connection is useful: the next attempt counts as a first one."""
        self._seen_at = _now()
        self._backoff.reset()

    async def pause(self, lost: Lost) -> None:
        """Wait before the next attempt. Raises Unreachable if that attempt would be after the limit."""
        self.last_problem = str(lost)
        delay = self._backoff.next_delay(lost.retry_after, by_goaway=lost.announced and lost.retry_after is not None)
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
