"""The garbage collector's pace in a gateway."""

from __future__ import annotations

import gc
from typing import Final

_COLLECTOR: Final = (5_000, 1, 5_000)
"""The thresholds of the garbage collector: how many more objects than were freed start a scan of the new ones; how many
of these scans include the last survivors; and how many of those scan everything."""


def hold_collector() -> None:
    """Run no garbage collector until `calm_collector`. What a start imports stays, so scans of it are a tenth of the
    start."""
    gc.disable()


def calm_collector() -> None:
    """Run the garbage collector rarely on old objects, and often on few new ones.

    The loop stands still during a scan: about 0.3 µs for each object. Objects made at the start stay, and need not be
    scanned. The two in a hundred that do not are kept, because to find them, the first clients would wait for 60 ms.
    The path of an event makes no cycles, and what its session keeps stays for long. So an object is scanned once or
    twice while it is new, with at most 15,000 others. All objects are scanned after about 50 million new ones.
    """
    gc.freeze()
    gc.set_threshold(*_COLLECTOR)
    gc.enable()
