"""An event loop in virtual time: when no task has anything to do, the clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class Stuck(Exception):
    """No task can go on and no timer runs, so whatever still waits would wait for ever."""


class _JumpingSelector(selectors.BaseSelector):
    """Watches only the loop's own wake-up pipe, and never blocks on it."""

    def __init__(self) -> None:
        self._pipes = selectors.SelectSelector()
        self.now = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._pipes.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._pipes.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._pipes.get_map()

    def close(self) -> None:
        self._pipes.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("no task can go on")
        self.now += max(0.0, timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs code that needs timers and no sockets, as fast as it can be computed and the same way every time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now
