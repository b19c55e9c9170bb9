"""Runs in which the connection to the database, or the database's answers, break under load."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.failpoints import failing
from tests.support.faults.proxy import Fault, Proxy, every
from tests.support.faults.rig import database_in, eventually, gateway_on, now, serving
from tests.support.load.client import Target
from tests.support.load.fleet import Fleet, report

WRITES = {"insert", "update"}


async def broken_network(directory: Path, seed: int, *, seconds: float, silence: float) -> None:
    """Play every network fault, one after the other, each for `seconds`. Silence and half-open connections last
    `silence` seconds, which should exceed the driver's timeout in some runs.
    """
    target = Target()
    async with database_in(directory / "database") as database:
        async with Proxy(database.uri, seed) as proxy:
            gateway = gateway_on(directory / "gateway", f"{proxy.uri}&timeoutMS=2000&connectTimeoutMS=1500")
            async with (
                serving(gateway, target),
                Fleet(target, seed, publishers=12, subscribers_each=1, rate=25, prefix="network") as fleet,
            ):
                await fleet.all_acked(since=0.0)
                for fault in Fault:
                    proxy.plan = every(fleet.random.randint(3, 6), WRITES, fault)
                    await asyncio.sleep(seconds)
                    await eventually(lambda fault=fault: proxy.done[fault] > 0, fault.value)  # type: ignore[misc]
                proxy.plan = lambda command: None
                recovered = await _breakages(proxy, fleet, seconds, silence)
                await fleet.settle()
        cuts = sum(proxy.done.values())
        back = {f"{name}_s": seconds for name, seconds in recovered.items()}
        report("network", seed, message_faults=cuts, **back, **fleet.figures())


async def _breakages(proxy: Proxy, fleet: Fleet, seconds: float, silence: float) -> dict[str, float]:
    """Return how long it took after each fault until all publishers had acks again."""
    recovered = {}

    async def over(name: str) -> None:
        began = now()
        await fleet.all_acked(since=began, timeout=60.0)
        recovered[name] = now() - began

    await over("messages")
    proxy.cut()
    await over("cut")
    proxy.silence()
    await asyncio.sleep(silence)
    proxy.silence(False)
    await over("silence")
    proxy.half_open()
    await over("half_open")
    proxy.delay = 0.2
    await asyncio.sleep(seconds)
    proxy.delay = 0.0
    await over("delay")
    proxy.slicing = True
    await asyncio.sleep(seconds)
    proxy.slicing = False
    await over("slicing")
    return recovered


FAILURES: list[dict[str, Any]] = [
    {"errorCode": 10107},  # NotWritablePrimary
    {"errorCode": 91},  # ShutdownInProgress
    {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}},
    {"closeConnection": True},
    {"blockConnection": True, "blockTimeMS": 400},
]


async def failing_commands(directory: Path, seed: int, *, seconds: float) -> None:
    """Let the database itself fail inserts and updates, in bursts, in each way for this many seconds. Publishers that
    come back claim their sessions, and claims are updates."""
    target = Target()
    recovered: list[float] = []
    asked: Counter[str] = Counter()
    async with (
        database_in(directory / "database", test_commands=True) as database,
        Proxy(database.uri, seed) as proxy,
        serving(gateway_on(directory / "gateway", proxy.uri), target),
        Fleet(target, seed, publishers=12, subscribers_each=1, rate=25, prefix="failing") as fleet,
    ):
        proxy.plan = lambda command: asked.update([command])
        await fleet.all_acked(since=0.0)
        for how in FAILURES:
            for command in sorted(WRITES):
                async with failing(database.uri, command, times=fleet.random.randint(1, 6), **how):
                    asked.clear()
                    fleet.publishers[0].drop()
                    await asyncio.sleep(seconds)
                    await eventually(lambda command=command: asked[command] > 0, command)  # type: ignore[misc]
                began = now()
                await fleet.all_acked(since=began)
                recovered.append(now() - began)
        await fleet.settle()
        report("failing-commands", seed, ways=len(recovered), slowest_recovery_s=max(recovered), **fleet.figures())
