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
        self._begun = 0
        """The pieces that have begun at once in this pass."""

    def begin(self) -> bool:
        """Return whether a piece may be done at once: not if others have had this pass, or wait."""
        if self._waiting or self._begun >= self._at_once:
            return False
        self._begun += 1
        self._go_on_soon()
        return True

    def soon(self, work: Callable[[], None]) -> None:
        """Call `work` after other tasks have had their turn."""
        self._waiting.append(work)
        self._go_on_soon()

    def _go_on_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_due, self._begun = False, 0
        if len(self._waiting) > self._at_once:
            self._go_on_soon()
        for _ in range(min(self._at_once, len(self._waiting))):
            self._waiting.popleft()()
