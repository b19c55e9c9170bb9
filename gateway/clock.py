"""The gateway's clock."""

from __future__ import annotations

import time
from datetime import datetime

from turnwire.protocol.times import from_millis


class _Clock:
    """A clock that makes one datetime for each millisecond: all calls within it share that object."""

    __slots__ = ("_millis", "_now")

    def __init__(self) -> None:
        self._millis = 0
        self._now = from_millis(0)

    def now(self) -> datetime:
        millis = time.time_ns() // 1_000_000
        if millis != self._millis:
            self._millis, self._now = millis, from_millis(millis)
        return self._now


_clock = _Clock()


def utc_now() -> datetime:
    """Return the current time in UTC, in whole milliseconds."""
    return _clock.now()
