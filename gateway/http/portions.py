"""Work of many connections, of which each pass of the loop does a little."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Portions:
    """Does work in the order in which it came, a few pieces in each pass of the loop."""

    def __init__(self, at_once: int) -> None:
        """`at_once`: the pieces that are done in one pass. A smaller piece counts as a part of one."""
        self._at_once = at_once
        self._waiting: deque[tuple[Callable[[], None], float]] = deque()
        self._is_due = False
        """Whether the loop is about to call `_go_on`."""
        self._begun = 0.0
        """The pieces of this pass, and less than one of earlier passes."""

    def begin(self, size: float = 1.0) -> bool:
        """Return whether a piece of this size may be done at once: not if others have had this pass, or wait."""
        if self._waiting or self._begun >= self._at_once:
            return False
        self._begun += size
        if self._begun >= 1.0:  # counting all small pieces by the pass would keep a loop with few of them from sleeping
            self._go_on_soon()
        return True

    def soon(self, work: Callable[[], None], size: float = 1.0) -> None:
        """Call `work` after other tasks have had their turn."""
        self._waiting.append((work, size))
        self._go_on_soon()

    def _go_on_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_due, self._begun, left = False, 0.0, float(self._at_once)
        if len(self._waiting) > 1:
            self._go_on_soon()
        for _ in range(len(self._waiting)):
            work, size = self._waiting.popleft()
            work()
            left -= size
            if left <= 0:
                return
