"""How long to wait before the next attempt."""

from __future__ import annotations

import random

FIRST = 0.2
LONGEST = 10.0
GROWTH = 2.0
SPREAD = 1.0
"""Seconds over which clients that lost the gateway at one moment come back."""


class Backoff:
    """Waits that double from 0.2 to 10 seconds, each cut at random to 50-100 %; then up to a second more at random.

    Without that second all clients of a gateway that restarts would be back within a few milliseconds. `reset` when an
    attempt has led to something.
    """

    def __init__(self) -> None:
        self._attempts = 0

    def reset(self) -> None:
        self._attempts = 0

    def next_delay(self, asked: float | None = None) -> float:
        """Seconds to wait. `asked` is what the gateway wants waited at least."""
        longest = min(LONGEST, FIRST * GROWTH ** min(self._attempts, 16))
        self._attempts += 1
        delay = longest * random.uniform(0.5, 1.0)
        if asked is not None:
            delay = max(asked, delay if self._attempts > 1 else 0.0)
        return delay + random.uniform(0.0, SPREAD)
