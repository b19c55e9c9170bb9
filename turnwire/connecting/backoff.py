"""The pauses between attempts to connect."""

from __future__ import annotations

import random

FIRST = 0.2
LONGEST = 10.0
GROWTH = 2.0
SPREAD = 1.0
"""Seconds over which the reconnects of clients that lost the gateway at the same moment are spread."""


class Backoff:
    """Pauses that double from 0.2 to 10 seconds, each cut at random to 50-100 %, plus a random time of up to a second.

    Without that second, all clients of a restarted gateway would reconnect within a few milliseconds. Call `reset`
    after a successful attempt.
    """

    def __init__(self) -> None:
        self._attempts = 0

    def reset(self) -> None:
        self._attempts = 0

    def next_delay(self, asked: float | None = None) -> float:
        """Return the seconds to wait. `asked` is the least that the gateway wants clients to wait."""
        longest = min(LONGEST, FIRST * GROWTH ** min(self._attempts, 16))
        self._attempts += 1
        delay = longest * random.uniform(0.5, 1.0)
        if asked is not None:
            delay = max(asked, delay if self._attempts > 1 else 0.0)
        return delay + random.uniform(0.0, SPREAD)
