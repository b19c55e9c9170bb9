"""Runs in which clients cause trouble: takeovers of a stopped one, one that does not read, thousands that idle."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from tests.support.faults.rig import MIB, Pace, database_in, eventually, gateway_on, now, rss, serving
from tests.support.history import Following, History, entry_of, load
from tests.support.load.client import Target
from tests.support.load.figures import percentile
from tests.support.load.fleet import Fleet, report
from tests.support.load.idle import IdleCrowd
from tests.support.load.publishers import LoadPublisher
from tests.support.processes import ROOT, clean_environment
from turnwire.protocol.codec import JSON
from turnwire.protocol.messages import EventIn, Events, Subscribe


class PublisherProcess:
    """A publisher in its own process; see `tests.support.load.process`."""

    def __init__(self, process: asyncio.subprocess.Process, history: Path) -> None:
        self.process = process
        self.history = history

    @classmethod
    @asynccontextmanager
    async def run(cls, directory: Path, target: Target, name: str, session_id: str) -> AsyncIterator[PublisherProcess]:
        history = directory / f"{name}.history"
        arguments = {"url": target.url, "process": target.process, "session": session_id, "name": name}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.load.process", "--seed", name, "--rate", "300"),
            *("--history", str(history), *(part for key, value in arguments.items() for part in (f"--{key}", value))),
            cwd=ROOT,
            env=clean_environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield cls(process, history)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())

    async def hear(self, word: str, *, after: str | None = None) -> None:
        """Wait for this word. Another one may come first."""
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            while (heard := (await self.process.stdout.readline()).decode().strip()) == after:
                pass
        assert heard == word, f"{heard!r} instead of {word!r}"

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)


async def takeovers(directory: Path, seed: int, *, count: int) -> None:
    """Two clients take one session from each other. The old one is stopped (SIGSTOP) meanwhile and woken afterwards."""
    target, random = Target(), Random(seed)
    async with (
        database_in(directory / "database") as database,
        serving(gateway_on(directory / "gateway", database.uri), target),
        Fleet(target, seed, publishers=1, subscribers_each=2, rate=1.0, prefix="takeovers", commands=False) as fleet,
    ):
        history = fleet.histories[0]
        await fleet.all_opened(since=0.0)
        first = fleet.publishers[0]
        first.finish()
        await first.until(lambda: not first.waiting, 20.0, "all answered")
        async with (
            PublisherProcess.run(directory, target, "one", history.session_id) as one,
            PublisherProcess.run(directory, target, "two", history.session_id) as two,
        ):
            old, new = one, two
            old.tell("publish")
            await old.hear("opened")
            for _ in range(count):
                await asyncio.sleep(random.uniform(0, 0.05))
                old.signal(signal.SIGSTOP)
                new.tell("publish")
                await new.hear("opened")
                await asyncio.sleep(random.uniform(0, 0.03))
                old.signal(signal.SIGCONT)
                await old.hear("superseded")
                old, new = new, old
            new.tell("finish")  # which does not have the session now
            await old.hear("superseded")
            await new.hear("finished", after="opened")
            old.tell("finish")
            await old.hear("finished", after="opened")
            await asyncio.gather(one.process.wait(), two.process.wait())
            for each in (one, two):
                history.join(load(each.history)[0])
        history.publishings.sort(key=lambda publishing: publishing.epoch)
        await fleet.settle()
        epochs = {publishing.epoch for publishing in history.publishings}
        assert len(epochs) >= count, f"{len(epochs)} epochs"
        report("takeovers", seed, takeovers=len(epochs), **fleet.figures())


class BigPublisher(LoadPublisher):
    """Publishes events of 16 KiB, one at a time."""

    def make(self, count: int) -> None:
        super().make(1)

    def _event(self) -> EventIn:
        event = super()._event()
        event.payload["filling"] = "x" * 16_000
        return event


def _with_small_buffer(address: tuple[Any, ...]) -> socket.socket:
    """Make the receive buffer small, so that unread bytes soon wait in the gateway."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    return made


async def slow_subscriber(directory: Path, seed: int, *, seconds: float) -> None:
    """A subscriber of 1 MB/s stops reading: memory stays bounded, others do not notice, and it misses nothing."""
    target = Target()
    async with (
        database_in(directory / "database") as database,
        serving(gateway_on(directory / "gateway", database.uri), target) as gateway,
        Fleet(target, seed, publishers=10, subscribers_each=1, rate=20, prefix="slow") as fleet,
        Pace() as pace,
    ):
        others = list(fleet.publishers)
        history = History(f"big-{seed}", must_have_all={"sleeper"})
        big = BigPublisher(fleet.http, target, "big", Random(seed), history=history, rate=3 * 64)  # see `make`
        fleet.add(history, big)
        await fleet.all_acked(since=0.0)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=_with_small_buffer)) as http,
            http.ws_connect(f"{target.ws_url}/subscribe", max_msg_size=0) as ws,
        ):
            await ws.send_str(JSON.encode(Subscribe("r", history.session_id, 0)).decode())
            following = Following("sleeper", 0)
            history.followings.append(following)
            begun = now()
            await _read(ws, following, lambda: now() >= begun + seconds)
            before, stopped = rss(gateway.pid), now()
            await asyncio.sleep(seconds)
            async with asyncio.timeout(60):  # the sizes of the kernel's buffers vary, and so does the pace
                while await fleet.metric("turnwire_subscriber_switches_total") == 0:
                    await asyncio.sleep(0.2)
            grown, resumed = rss(gateway.pid) - before, now()
            big.finish()
            await big.until(lambda: not big.waiting, 30.0, "all answered")
            await _read(ws, following, lambda: len(following.received) == len(big.acked))
        caught_up = now() - resumed
        published = sum(stopped <= came < resumed for came, _ in big.acked) * 16_000 / (resumed - stopped) / 1e6
        p99_before, p99 = (
            percentile([took for each in others for came, took in each.acked if first <= came < last], 0.99) * 1000
            for first, last in ((begun, stopped), (stopped, resumed))
        )
        await fleet.settle()
        assert grown < 16 * MIB, f"the gateway grew by {grown / MIB:.1f} MiB"
        behind = pace.behind(stopped, resumed) * 1000
        assert p99 < 3 * p99_before + 50 + behind, f"p99 went from {p99_before:.0f} to {p99:.0f} ms"
        figures = {"p99_before_ms": p99_before, "p99_ms": p99, "caught_up_s": caught_up}
        report("slow-subscriber", seed, mb_per_s=published, rss_growth_mib=grown / MIB, **figures)


async def _read(ws: aiohttp.ClientWebSocketResponse[Any], following: Following, enough: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not enough():
            push = JSON.decode_subscriber_push(str((await ws.receive()).data).encode())
            if isinstance(push, Events):
                following.received += map(entry_of, push.events)


async def idle_crowd(directory: Path, seed: int, *, idle: int, pings: int) -> None:
    """Thousands of idle connections beside 20 active ones: none is closed unasked."""
    target = Target()
    env = {"TURNWIRE_PING_INTERVAL": "2"}
    async with (
        database_in(directory / "database") as database,
        serving(gateway_on(directory / "gateway", database.uri, env=env), target) as gateway,
        Fleet(target, seed, publishers=20, subscribers_each=1, rate=25, prefix="crowd") as fleet,
    ):
        publishing = [f"/sessions/idle-{number}/publish?language=en" for number in range(idle // 10)]
        crowd = IdleCrowd(target.url, ["/subscribe"] * (idle - len(publishing)) + publishing)
        try:
            await crowd.connect()
            opened = now()
            await eventually(lambda: crowd.fewest_pings >= pings, f"{pings} pings for all", 30.0 + 4 * pings)
            assert crowd.lost == 0, f"{crowd.lost} connections were closed"
            closes = [code for client in (*fleet.publishers, *fleet.subscribers) for code in client.closes]
            assert not closes, f"active clients were closed with {closes}"
            memory = rss(gateway.pid) / MIB
            p99 = percentile(fleet.latencies(since=opened), 0.99) * 1000
        finally:
            crowd.close()
        await fleet.settle()
        report("idle-crowd", seed, idle=idle, pings=pings, rss_mib=memory, active_p99_ms=p99, **fleet.figures())
