"""Runs in which gateways and databases are killed, stopped and drained under load."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from tests.support.faults.rig import (
    FAST_HEARTBEAT,
    MIB,
    Pace,
    database_in,
    eventually,
    gateway_on,
    kill,
    now,
    paused,
    pid_of,
    rss,
    serving,
    start,
)
from tests.support.load.client import Target
from tests.support.load.fleet import Fleet, report

SETTLED_SECONDS = 0.5
"""Seconds that the answers of a stopped database may take to reach the clients."""


async def gateway_kills(
    directory: Path, seed: int, *, kills: int, publishers: int = 20, embedded: bool = False
) -> None:
    """kill -9 of the gateway every 3 to 5 seconds; with `embedded`, its database dies with it."""
    target = Target()
    back: list[float] = []
    async with database_in(directory / "database") as database:
        uri = None if embedded else f"{database.uri}?{FAST_HEARTBEAT}"
        gateway = gateway_on(directory / "gateway", uri)
        async with (
            serving(gateway, target),
            Fleet(target, seed, publishers=publishers, subscribers_each=2, rate=25, prefix="kills") as fleet,
        ):
            await fleet.all_acked(since=0.0)
            for _ in range(kills):
                await asyncio.sleep(fleet.random.uniform(3, 5))
                await kill(gateway)
                dead = now()
                await start(gateway, target)
                await fleet.all_acked(since=dead)
                back.append(now() - dead)
            await fleet.settle()
            report("gateway-kills", seed, kills=kills, embedded=embedded, slowest_back_s=max(back), **fleet.figures())


async def database_kills(directory: Path, seed: int, *, kills: int, embedded: bool) -> None:
    """kill -9 of the database with events in flight; the gateway's own one (`embedded`), or a separate one."""
    target = Target()
    recoveries: list[float] = []
    resumes: list[float] = []
    async with database_in(directory / "database") as database:
        uri = None if embedded else f"{database.uri}?{FAST_HEARTBEAT}"
        gateway = gateway_on(directory / "gateway", uri)

        def restarts() -> int:
            return sum("answers again" in line for line in gateway.lines) if embedded else database.restarts

        async with (
            serving(gateway, target),
            Fleet(target, seed, publishers=20, subscribers_each=1, rate=25, prefix="dbkills") as fleet,
            Pace() as pace,
        ):
            await fleet.all_acked(since=0.0)
            for number in range(1, kills + 1):
                await asyncio.sleep(fleet.random.uniform(0.5, 1.5))
                os.kill(gateway.database_pid if embedded else pid_of(database), signal.SIGKILL)
                dead = now()
                await eventually(lambda number=number: restarts() == number, "the database again", 30.0)  # type: ignore[misc]
                recoveries.append(now() - dead)
                await fleet.all_acked(since=dead + SETTLED_SECONDS)
                resumes.append(now() - dead - recoveries[-1])
            await fleet.settle()
            assert max(resumes) < 5.0 + pace.behind(), f"seconds from the recovery to acks for all: {resumes}"
            figures = {"slowest_recovery_s": max(recoveries), "slowest_resume_s": max(resumes)}
            report("database-kills", seed, kills=kills, embedded=embedded, **figures, **fleet.figures())


async def database_stop(directory: Path, seed: int, *, seconds: float) -> None:
    """SIGSTOP of the database: no acks meanwhile, bounded memory, and acks within 2 s of its return."""
    target = Target()
    async with database_in(directory / "database") as database:
        gateway = gateway_on(directory / "gateway", f"{database.uri}?{FAST_HEARTBEAT}")
        async with (
            serving(gateway, target),
            Fleet(target, seed, publishers=20, subscribers_each=1, rate=50, prefix="stop") as fleet,
            Pace() as pace,
        ):
            await fleet.all_acked(since=0.0)
            await asyncio.sleep(1.0)
            before = rss(gateway.pid)
            async with paused(pid_of(database)):
                stopped = now()
                await asyncio.sleep(seconds)
                grown = rss(gateway.pid) - before
                continued = now()
            early = fleet.acks(stopped + SETTLED_SECONDS, continued)
            assert early == 0, f"{early} acks came while the database stood still"
            await fleet.all_acked(since=continued)
            resumed = now() - continued
            await fleet.settle()
            assert grown < 32 * MIB, f"the gateway grew by {grown / MIB:.1f} MiB"
            first = fleet.first_ack(continued)
            assert first < 2.0 + pace.behind(since=continued), f"the first ack came {first:.2f} s after"
            closes = sorted({str(code) for publisher in fleet.publishers for code in publisher.closes})
            report(
                "database-stop",
                seed,
                seconds=seconds,
                first_ack_s=first,
                all_acked_s=resumed,
                rss_growth_mib=grown / MIB,
                closes=",".join(closes),
                **fleet.figures(),
            )


async def drains(directory: Path, seed: int, *, rounds: int, publishers: int = 200) -> None:
    """SIGTERM under 1,000 events a second: exit status 0 within 10 s, and the clients continue with another gateway. By
    turns, that gateway starts before, or afterwards on the same port."""
    target = Target()
    took: list[float] = []
    async with database_in(directory / "database") as database, AsyncExitStack() as started:
        uri = f"{database.uri}?{FAST_HEARTBEAT}"
        first = gateway_on(directory / "gateway", uri)
        gateway = await started.enter_async_context(serving(first, target))
        async with Fleet(
            target, seed, publishers=publishers, subscribers_each=1, rate=1000 / publishers, prefix="drain"
        ) as fleet:
            await fleet.all_acked(since=0.0)
            for number in range(rounds):
                await asyncio.sleep(1.0)
                port = int(gateway.url.rpartition(":")[2]) if number % 2 else 0
                successor = gateway_on(directory / f"gateway-{number}", uri, port=port)
                if not port:
                    await started.enter_async_context(serving(successor, target))
                began = now()
                status = await asyncio.to_thread(gateway.terminate)
                took.append(now() - began)
                assert status == 0, gateway.output
                if port:
                    await started.enter_async_context(serving(successor, target))
                await fleet.all_acked(since=now())
                gateway = successor
            await fleet.settle()
        closes = {code for client in (*fleet.publishers, *fleet.subscribers) for code in client.closes}
        assert closes <= {1000, 1012, None}, f"clients were closed with {closes}"
        assert max(took) < 10.0, f"exits took {took}"
        report("drain", seed, rounds=rounds, publishers=publishers, slowest_exit_s=max(took), **fleet.figures())


async def reconnection_storm(directory: Path, seed: int, *, clients: int, rounds: int = 1) -> None:
    """This many publishers and as many subscribers reconnect at the same time after a kill of the gateway."""
    target = Target()
    back: list[float] = []
    async with database_in(directory / "database") as database:
        gateway = gateway_on(directory / "gateway", f"{database.uri}?{FAST_HEARTBEAT}")
        async with (
            serving(gateway, target),
            Fleet(target, seed, publishers=clients, subscribers_each=1, rate=0.5, prefix="storm") as fleet,
        ):
            await fleet.all_opened(since=0.0, timeout=60.0)
            for _ in range(rounds):
                await kill(gateway)
                await start(gateway, target)
                began = now()
                await fleet.all_opened(since=began, timeout=60.0)
                back.append(now() - began)
            await fleet.settle(timeout=60.0)
        report("storm", seed, clients=2 * clients, rounds=rounds, slowest_back_s=max(back), **fleet.figures())
