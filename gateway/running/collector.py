"""The garbage collector's pace in a gateway."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Final, Never

_COLLECTOR: Final = (3_000, 1, 250_000)
"""The thresholds of the garbage collector: how many more objects than were freed start a scan of the new ones; how many
of these scans include the last survivors; and how many of those scan everything."""
_PAUSE: Final = 0.05
"""Seconds between two scans of what is new, while there is much to do."""
_LONG_PAUSE: Final = 0.2
"""The same while there is little to do."""
_LITTLE: Final = 0.2
"""The share of a core up to which the loop has little to do. It then makes less in a long pause than it may make in a
short one."""


def hold_collector() -> None:
    """Stop the garbage collector until `calm_collector` is called. What a start imports stays; scanning it would take a
    tenth of the start."""
    gc.disable()


def calm_collector() -> None:
    """Run the garbage collector rarely on old objects, and often on few new ones.

    The loop stands still during a scan: 0.3 µs for each object, and several times that if they are spread in memory.
    Objects made at the start stay, and need not be scanned. Two in a hundred do not stay, and are kept all the same:
    the first clients would wait for 60 ms while these were looked for. The path of an event makes no cycles, and what
    its session keeps stays for long. So an object is scanned once or twice while it is new, with at most 9,000 others.
    All objects are scanned after some hours or more.
    """
    gc.freeze()
    gc.set_threshold(*_COLLECTOR)
    gc.enable()


async def scan_often(
    collect: Callable[[int], object] = gc.collect, worked: Callable[[], float] = time.thread_time
) -> Never:
    """Scan what is new twenty times a second, before it is much. `worked`: the CPU seconds of this thread.

    The collector counts how many more objects there are, and not how many were replaced. Each event replaces ten that
    wait for the next one. With thousands of calls, 25,000 of them were new whenever the count reached its threshold.
    When thousands of sessions enter memory at the same time, a scan of a third of a second's survivors took 5 ms.
    """
    pause, before = _PAUSE, worked()
    while True:
        for generation in (0, 1):
            await asyncio.sleep(pause)
            collect(generation)
            now = worked()
            pause, before = _LONG_PAUSE if now - before < _LITTLE * pause else _PAUSE, now
