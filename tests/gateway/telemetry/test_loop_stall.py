"""The watch over the event loop measures how late it wakes."""

from __future__ import annotations

import asyncio
from itertools import chain, repeat

from prometheus_client import CollectorRegistry

from tests.support.sockets import until
from turnwire.gateway.telemetry.loop_stall import PAUSE, LoopStall


async def test_a_loop_that_wakes_late_is_seen_with_the_time_it_was_late() -> None:
    registry = CollectorRegistry()
    asleep, awake = 100.0, 100.0 + PAUSE + 3
    looks = chain((asleep, awake), repeat(awake))
    watching = asyncio.create_task(LoopStall(registry, lambda: next(looks)).watch())

    def value(name: str, **labels: str) -> float:
        return registry.get_sample_value(f"turnwire_loop_stall_seconds_{name}", labels) or 0

    await until(lambda: value("count") >= 1, "a look")
    watching.cancel()
    assert round(value("sum"), 6) == 3
    assert value("bucket", le="2.5") == value("count") - 1
