"""Tells the callers of appends that these are stored, some in each pass of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

AT_ONCE: Final = 64
"""Appends that are answered in one pass. Each answer wakes a session, which acks its publisher and tells everyone who
watches: 40 µs or more. A commit has up to 600 of them."""


class Answers:
    """Answers appends in the order in which they were stored. The next commits do not wait for that."""

    __slots__ = ("_given", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[tuple[asyncio.Future[int], int]] = deque()
        self._given = 0
        """The number of answers in this pass of the loop."""

    def give(self, done: asyncio.Future[int], stored: int) -> None:
        """Resolve `done` with `stored`, at once or soon."""
        if self._given == 0:
            asyncio.get_running_loop().call_soon(self._go_on)
        if self._given < AT_ONCE and not self._waiting:
            self._given += 1
            done.set_result(stored)
        else:
            self._waiting.append((done, stored))

    def _go_on(self) -> None:
        self._given = min(AT_ONCE, len(self._waiting))
        if self._given:
            asyncio.get_running_loop().call_soon(self._go_on)
        for _ in range(self._given):
            done, stored = self._waiting.popleft()
            if not done.done():  # otherwise the caller has given up
                done.set_result(stored)
