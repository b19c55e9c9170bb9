"""Counts the passes of the event loop. Whatever runs in a single pass holds everybody up."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import TracebackType


class Passes:
    """Counts passes while it is open, and the work in each. Work is recorded by `done`, on a clock that only this class
    moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.number = 0
        self.work: Counter[int] = Counter()
        """Pass → units of work done in it."""
        self._handle: asyncio.Handle | None = None

    def clock(self) -> float:
        return self.now

    def done(self, seconds: float = 0.0) -> None:
        """Record a unit of work that took this long."""
        self.now += seconds
        self.work[self.number] += 1

    @property
    def most(self) -> int:
        """Maximum number of units of work in one pass."""
        return max(self.work.values())

    def __enter__(self) -> Passes:
        self._count()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._handle is not None
        self._handle.cancel()

    def _count(self) -> None:
        self.number += 1
        self._handle = asyncio.get_running_loop().call_soon(self._count)
