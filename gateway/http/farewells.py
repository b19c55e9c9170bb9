"""Lost connections, which are let go of a few at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

AT_ONCE: Final = 10
"""Connections that are let go of in one pass of the loop. Each takes about 0.1 ms until its handler has ended."""


class Farewells:
    """Lets go of lost connections. When a whole audience leaves at once, most of it waits for later passes."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._said = 0
        """The number of connections that were let go of in this pass of the loop."""

    def say(self, let_go: Callable[[], None]) -> None:
        """Call `let_go` at once, or soon if many connections were lost in this pass of the loop."""
        if self._said == 0:
            asyncio.get_running_loop().call_soon(self._go_on)
        if self._said < AT_ONCE and not self._waiting:
            self._said += 1
            let_go()
        else:
            self._waiting.append(let_go)

    def _go_on(self) -> None:
        self._said = min(AT_ONCE, len(self._waiting))
        if self._said:
            asyncio.get_running_loop().call_soon(self._go_on)
        for _ in range(self._said):
            self._waiting.popleft()()
