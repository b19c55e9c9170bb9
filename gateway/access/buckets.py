"""Token buckets: a rate per second in the long run, and a burst after a pause."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from turnwire.gateway.config.rate import Rate

MAX_TRACKED: Final = 50_000
"""Buckets kept for one rate, about 10 MiB. Beyond that, the least recently used bucket is dropped; it is usually full
again.
"""


class Bucket:
    """A token bucket, full at first. Times are from a monotonic clock, in seconds.

    Used for every frame: no lock, no allocation, one multiplication.
    """

    __slots__ = ("_at", "_level", "rate")

    def __init__(self, rate: Rate, now: float) -> None:
        self.rate = rate
        self._level = float(rate.burst)
        self._at = now

    def _fill(self, now: float) -> None:
        level = self._level + (now - self._at) * self.rate.per_second
        burst = self.rate.burst
        self._level = level if level < burst else burst
        self._at = now

    def take(self, now: float, count: int = 1) -> bool:
        """Take `count` tokens if there are as many. Return whether they were taken."""
        self._fill(now)
        if self._level < count:
            return False
        self._level -= count
        return True

    def spend(self, now: float, count: int = 1) -> float:
        """Take `count` tokens, even if there are fewer. Return the seconds until none is owed.

        For events, which are delayed but never dropped.
        """
        if now != self._at:  # frames that arrive together are taken at the same time
            self._fill(now)
        level = self._level = self._level - count
        return -level / self.rate.per_second if level < 0 else 0.0

    def wait(self, now: float, count: int = 1) -> float:
        """Return the seconds until `count` tokens can be taken."""
        self._fill(now)
        return max(0.0, (count - self._level) / self.rate.per_second)

    def left(self, now: float) -> int:
        """Return how many tokens can be taken now."""
        self._fill(now)
        return max(0, int(self._level))


class Buckets:
    """A bucket for each principal or address. With the rate off, everything is allowed and nothing is kept."""

    def __init__(self, rate: Rate, max_tracked: int = MAX_TRACKED) -> None:
        self.rate = rate
        self._max_tracked = max_tracked
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float, count: int = 1) -> float:
        """Take `count` tokens and return 0; if there are fewer, take none and return the seconds to wait."""
        if self.rate.is_off:
            return 0.0
        bucket = self.of(key, now)
        return 0.0 if bucket.take(now, count) else bucket.wait(now, count)

    def find(self, key: str) -> Bucket | None:
        """Return the bucket of this key; None if there is none, which means that it is full."""
        return self._buckets.get(key)

    def of(self, key: str, now: float) -> Bucket:
        """Return the bucket of this key. Make it if it is missing."""
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._max_tracked:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = Bucket(self.rate, now)
        else:
            self._buckets.move_to_end(key)
        return bucket


class ClientCounts:
    """Counts how many of something each principal or address has now."""

    def __init__(self, limit: int) -> None:
        """A limit of 0 means no limit."""
        self.limit = limit
        self._counts: dict[str, int] = {}

    def enter(self, key: str) -> bool:
        """Count one more and return True; if the limit is reached, count nothing and return False."""
        count = self._counts.get(key, 0)
        if self.limit and count >= self.limit:
            return False
        self._counts[key] = count + 1
        return True

    def leave(self, key: str) -> None:
        """Count one fewer. Call this once for each `enter` that returned True."""
        count = self._counts.get(key, 0) - 1
        if count > 0:
            self._counts[key] = count
        else:
            self._counts.pop(key, None)

    def of(self, key: str) -> int:
        return self._counts.get(key, 0)
