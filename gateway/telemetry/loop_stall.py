"""How late the event loop is: the one thing that holds up every client of a gateway at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Never

import prometheus_client

PAUSE: Final = 0.1
"""Seconds between two looks. A stall that is longer is always seen, at least in part."""
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class LoopStall:
    """Measures how late the event loop wakes a task."""

    def __init__(self, registry: prometheus_client.CollectorRegistry, clock: Callable[[], float]) -> None:
        """`clock` returns seconds that never go back."""
        self._clock = clock
        self._seconds = prometheus_client.Histogram(
            "turnwire_loop_stall_seconds",
            f"How late the event loop woke a task that is due every {PAUSE} s.",
            buckets=_SECONDS,
            registry=registry,
        )

    async def watch(self) -> Never:
        """Look for as long as the gateway runs."""
        while True:
            due = self._clock() + PAUSE
            await asyncio.sleep(PAUSE)
            self._seconds.observe(max(0.0, self._clock() - due))
