"""The pauses between attempts to connect."""

from __future__ import annotations

import random

FIRST = 0.2
LONGEST = 10.0
LONGEST_ASKED = 600.0
"""The longest wait that a gateway may ask of a client: the most that a gateway's setting allows."""
GROWTH = 2.0
SPREAD = 1.0
"""Seconds over which the reconnects of clients that lost the gateway at the same moment are spread."""
SPREAD_AFTER_GOAWAY = 0.4
"""The same for clients that the gateway has told when to reconnect. It tells each of them a different time."""


class Backoff:
    """Pauses that double from 0.2 to 10 seconds, each cut at random to 50-100 %, plus a random time of up to a second.

    Without that second, all clients of a gateway that has died would reconnect within a few milliseconds. A gateway
    that shuts down spreads the reconnects itself. Call `reset` after a successful attempt.
    """

    def __init__(self) -> None:
        self._attempts = 0

    def reset(self) -> None:
        self._attempts = 0

    def next_delay(self, asked: float | None = None, *, by_goaway: bool = False) -> float:
        """Return the seconds to wait. `asked` is the shortest wait that the gateway asks for: of this client if
        `by_goaway` is set, and otherwise of all clients. A wait over LONGEST_ASKED is replaced by a random part of
        that."""
        longest = min(LONGEST, FIRST * GROWTH ** min(self._attempts, 16))
        self._attempts += 1
        delay = longest * random.uniform(0.5, 1.0)
        if asked is not None:
            if asked > LONGEST_ASKED:
                asked = LONGEST_ASKED * random.uniform(0.5, 1.0)
            delay = max(asked, delay if self._attempts > 1 else 0.0)
        return delay + random.uniform(0.0, min(SPREAD, SPREAD_AFTER_GOAWAY) if by_goaway else SPREAD)


def seconds_asked(milliseconds: int) -> float:
    """Return the seconds that a `goaway` asks for, whatever number of digits it has; 0 for a negative one."""
    return max(0, min(milliseconds, 10**9)) / 1000
