"""How much of a log is read at a time, when all of it is read."""

from __future__ import annotations

from typing import Final

FIRST_WINDOW: Final = 8
"""Events read at first."""
MAX_WINDOW: Final = 50
_PART_BYTES: Final = 256 * 1024
"""Approximate size in bytes of what is read at a time, if events are of similar size."""


def next_window(count: int, size: int) -> int:
    """Return how many events to read next, after `count` events had `size` bytes in all: few if they are large."""
    return max(1, min(MAX_WINDOW, 2 * count, count * _PART_BYTES // max(size, 1)))
