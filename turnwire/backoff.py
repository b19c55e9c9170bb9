"""How long to wait before the next attempt."""

from __future__ import annotations

import random

FIRST = 0.2
LONGEST = 10.0
GROWTH = 2.0


class Backoff:
    """Waits that double from 0.2 to 10 seconds, each cut at random to 50-100 %, so that not all clients come at once.

    `reset` when an attempt has led to something.
    """

    def __init__(self) -> None:
        self._attempts = 0

    def reset(self) -> None:
        self._attempts = 0

    def next_delay(self, asked: float | None = None) -> float:
        """Seconds to wait. `asked` is what the gateway wants waited at least; a little is added at random."""
        longest = min(LONGEST, FIRST * GROWTH ** min(self._attempts, 16))
        self._attempts += 1
        delay = longest * random.uniform(0.5, 1.0)
        if asked is None:
            return delay
        return max(asked, delay if self._attempts > 1 else 0.0) + delay / 2
