"""A cache of what has been read from the archive."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_OVERHEAD: Final = 128


class FrameCache(Generic[T]):
    """Holds each value for `seconds`, and `most_bytes` in all. Owned by the event loop's thread."""

    def __init__(self, most_bytes: int, seconds: float, clock: Callable[[], float]) -> None:
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._clock = clock
        self._held: OrderedDict[Hashable, tuple[float, int, T]] = OrderedDict()
        self.bytes = 0

    def get(self, key: Hashable) -> T | None:
        """Return the value, unless it has expired."""
        found = self._held.get(key)
        if found is None:
            return None
        until, _, value = found
        if until <= self._clock():
            self._drop(key)
            return None
        self._held.move_to_end(key)
        return value

    def put(self, key: Hashable, value: T, size: int) -> None:
        """Keep a value of about `size` bytes. To make room, drop expired values first, then the least recently used
        ones."""
        self._drop(key)
        self.sweep()
        size += _OVERHEAD
        while self._held and self.bytes + size > self._most_bytes:
            self._drop(next(iter(self._held)))
        if size <= self._most_bytes:
            self._held[key] = (self._clock() + self._seconds, size, value)
            self.bytes += size

    def sweep(self) -> None:
        """Drop all expired values."""
        now = self._clock()
        for key in [key for key, (until, _, _) in self._held.items() if until <= now]:
            self._drop(key)

    def forget(self, of: Callable[[Hashable], bool]) -> None:
        """Drop the values of these keys."""
        for key in [key for key in self._held if of(key)]:
            self._drop(key)

    def _drop(self, key: Hashable) -> None:
        found = self._held.pop(key, None)
        if found is not None:
            self.bytes -= found[1]
