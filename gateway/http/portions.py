"""Work of many connections, of which each pass of the loop does a little."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Portions:
    """Does work in the order in which it came, a few pieces in each pass of the loop."""

    def __init__(self, at_once: int) -> None:
        """`at_once`: the pieces that are done in one pass."""
        self._at_once = at_once
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_due = False
        """Whether the loop is about to call `_go_on`."""

    def soon(self, work: Callable[[], None]) -> None:
        """Call `work` after other tasks have had their turn."""
        self._waiting.append(work)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_due = len(self._waiting) > self._at_once
        if self._is_due:
            asyncio.get_running_loop().call_soon(self._go_on)
        for _ in range(min(self._at_once, len(self._waiting))):
            self._waiting.popleft()()
