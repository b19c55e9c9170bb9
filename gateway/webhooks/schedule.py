"""When to send a message again that was not taken. Pure: no clock, no I/O. All times are in seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0
GIVE_UP_AFTER: Final = 24 * HOUR
"""How long a message is tried after its first failure. The last attempt comes at the end of this time."""
LONGEST_ASKED: Final = HOUR
"""The longest pause that an endpoint may ask for with Retry-After."""
JITTER: Final = 0.2
_DELAYS: Final = (5.0, 30.0, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR)


def next_delay(failures: int, failing_for: float, chance: Callable[[], float], asked: float = 0.0) -> float | None:
    """Return the pause before the next attempt, or None if there is to be none.

    `failures`: attempts that have failed, at least one. `failing_for`: time since the first of them. `chance` returns a
    random number from 0 to 1. Up to a fifth is added to the pause by chance, so that messages that failed together are
    not repeated together. `asked`: the pause that the endpoint has asked for.
    """
    left = GIVE_UP_AFTER - failing_for
    if left <= 0:
        return None
    delay = _DELAYS[min(failures, len(_DELAYS)) - 1] * (1 + JITTER * chance())
    return min(max(delay, min(asked, LONGEST_ASKED)), left)
