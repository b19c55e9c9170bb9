"""Runs in which several gateways work behind a balancer, and gateways, Redis or the balancer's choice fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import Self

import aiohttp

from tests.support.faults.cluster import Cluster
from tests.support.faults.rig import Pace, kill, now, paused
from tests.support.load.client import RETRY_SECONDS, Target
from tests.support.load.figures import percentile
from tests.support.load.fleet import Fleet, report
from tests.support.load.publishers import LoadPublisher

GAP_SECONDS = 1.0
"""The longest time that a subscriber waits for events because a gateway leaves its balancer."""
_CALLS_OF_A_MOVE = 60
"""A client that moves waits as long as this many calls take: for ten round trips to the database instead of one or two,
while twenty other clients do the same."""
FALL_BACK_SECONDS = 2.0
"""Seconds within which a gateway notices that Redis is away, and begins to poll."""
_ASKED_EACH_SECOND = 50


class Callers:
    """Makes REST calls through the balancer all the time, each of which creates a session. Keeps the answers."""

    def __init__(self, target: Target, seed: int) -> None:
        self.refused: Counter[str] = Counter()
        self.answered = 0
        self.took: list[float] = []
        """Seconds that each call took."""
        self._target = target
        self._prefix = f"called-{seed}"

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
        self._tasks = [asyncio.create_task(self._call(number)) for number in range(4)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()

    async def _call(self, caller: int) -> None:
        for number in count():
            began = now()
            body = {"sessionId": f"{self._prefix}-{caller}-{number}", "language": "en"}
            try:
                async with self._http.post(f"{self._target.url}/sessions", json=body) as answer:
                    outcome = "" if answer.status == 200 else str(answer.status)
            except (aiohttp.ClientError, TimeoutError) as error:
                outcome = type(error).__name__
            self.answered += not outcome
            self.took.append(now() - began)
            if outcome:
                self.refused[outcome] += 1
            await asyncio.sleep(4 / _ASKED_EACH_SECOND)


async def gateways_fail(directory: Path, seed: int, *, rounds: int = 1, publishers: int = 12) -> None:
    """One of three gateways is killed, another freezes and wakes. Their clients continue with the others, sessions and
    all."""
    back: list[float] = []
    async with (
        Cluster.running(directory) as cluster,
        Fleet(cluster.target, seed, publishers=publishers, subscribers_each=2, rate=20, prefix="gateways") as fleet,
    ):
        await cluster.bus_is("up")
        await fleet.all_acked(since=0.0)
        for _ in range(rounds):
            for fail in (_killed, _asleep):
                await fail(cluster, fleet)
                began = now()
                await fleet.all_acked(since=began)
                back.append(now() - began)
        await cluster.bus_is("up")
        await fleet.settle()
        report("gateways-fail", seed, rounds=rounds, slowest_back_s=max(back), **fleet.figures())


async def _killed(cluster: Cluster, fleet: Fleet) -> None:
    gateway = fleet.random.choice(cluster.gateways)
    await kill(gateway)
    await asyncio.sleep(1.0)
    await asyncio.to_thread(gateway.start)


async def _asleep(cluster: Cluster, fleet: Fleet) -> None:
    """Freeze a gateway. Its clients move to others, as takeovers; then it wakes with its unfinished work."""
    gateway = fleet.random.choice(cluster.gateways)
    async with paused(gateway.pid):
        await asyncio.sleep(2.0)  # the balancer has noticed
        for client in (*fleet.publishers, *fleet.subscribers):
            client.drop()
        await asyncio.sleep(1.0)


async def redis_fails(directory: Path, seed: int, *, rounds: int = 1, publishers: int = 12) -> None:
    """Redis is killed, stopped, emptied, cut off, half-open: acks wait for nothing, and no event is missed."""
    async with (
        Cluster.running(directory) as cluster,
        Fleet(cluster.target, seed, publishers=publishers, subscribers_each=2, rate=20, prefix="redis") as fleet,
        Pace() as pace,
    ):
        await cluster.bus_is("up")
        await fleet.all_acked(since=0.0)
        began = now()
        gaps: dict[str, float] = {}
        for _ in range(rounds):
            for fail in (_redis_killed, _redis_stopped, _redis_emptied, _redis_cut, _redis_half_open):
                since, kind = now(), fail.__name__.removeprefix("_redis_")
                await fail(cluster)
                await cluster.bus_is("up")
                gap = max(longest_pause(each.received_at, since) for each in fleet.subscribers)
                gaps[f"pause_{kind}_s"] = max(gap, gaps.get(f"pause_{kind}_s", 0.0))
        slowest, gap = max(fleet.latencies(since=began)), max(gaps.values())
        await fleet.settle()
        report("redis-fails", seed, rounds=rounds, slowest_ack_s=slowest, **gaps, **fleet.figures())
        assert slowest < 2.0 + pace.behind(since=began), f"an ack took {slowest:.2f} s"
        allowed = FALL_BACK_SECONDS + 2.0 + pace.behind(since=began)
        assert gap < allowed, f"a subscriber heard nothing for {gap:.2f} s"


async def _redis_killed(cluster: Cluster) -> None:
    cluster.redis.kill()
    await cluster.bus_is("down")
    await asyncio.to_thread(cluster.redis.start)


async def _redis_stopped(cluster: Cluster) -> None:
    cluster.redis.freeze()
    await cluster.bus_is("down")
    cluster.redis.thaw()


async def _redis_emptied(cluster: Cluster) -> None:
    for words in (["FLUSHALL"], ["CLIENT", "KILL", "TYPE", "pubsub"], ["CLIENT", "KILL", "TYPE", "normal"]):
        cluster.redis.command(*words)
        await asyncio.sleep(0.3)


async def _redis_cut(cluster: Cluster) -> None:
    for _ in range(3):
        cluster.wire.cut()
        await asyncio.sleep(0.2)


async def _redis_half_open(cluster: Cluster) -> None:
    """The connections look alive, but carry nothing."""
    cluster.wire.half_open()
    cluster.wire.silence()
    await cluster.bus_is("down")
    cluster.wire.silence(False)


async def takeovers_across(directory: Path, seed: int, *, seconds: float, publishers: int = 6) -> None:
    """In each session, three publishers take over from each other, through whichever gateway the balancer chooses."""
    async with (
        Cluster.running(directory) as cluster,
        Fleet(cluster.target, seed, publishers=publishers, subscribers_each=2, rate=20, prefix="across") as fleet,
    ):
        await cluster.bus_is("up")
        await fleet.all_acked(since=0.0)
        for publisher, history in zip(tuple(fleet.publishers), tuple(fleet.histories), strict=True):
            publisher.reclaims = True
            for number in range(2):
                name = f"t{number}-{history.session_id}"
                thief = LoadPublisher(fleet.http, cluster.target, name, fleet.fork(), history=history, rate=20)
                thief.reclaims = True
                fleet.join(thief)
        await asyncio.sleep(seconds)
        for history in fleet.histories:
            for thief in [each for each in fleet.publishers if each.history is history][1:]:
                thief.finish()
                await thief.until(lambda thief=thief: not thief.waiting, 30.0, "all answered")
        for history in fleet.histories:
            history.publishings.sort(key=lambda publishing: publishing.epoch)
        await fleet.settle()
        report("takeovers-across", seed, seconds=seconds, **fleet.figures())


async def rolling_restart(
    directory: Path, seed: int, *, rate: float = 1000, publishers: int = 60, proxy: str = "haproxy.cfg"
) -> None:
    """All three are replaced, one after the other, under load: no call is refused, and nobody pauses for long."""
    async with (
        Cluster.running(directory, proxy=proxy) as cluster,
        Fleet(
            cluster.target,
            seed,
            publishers=publishers,
            subscribers_each=1,
            rate=rate / publishers,
            prefix="rolling",
        ) as fleet,
        Callers(cluster.target, seed) as callers,
        Pace() as pace,
    ):
        await cluster.bus_is("up")
        await fleet.all_acked(since=0.0)
        await asyncio.sleep(1.0)
        began = now()
        took = [await cluster.restart(gateway) for gateway in cluster.gateways]
        ended = now()
        await fleet.all_acked(since=ended)
        acked = fleet.acks(began, ended)
        acks = [longest_pause([when for when, _ in each.acked], began, ended) for each in fleet.publishers]
        heard = [longest_pause(each.received_at, began, ended) for each in fleet.subscribers]
        latencies = fleet.latencies(began, ended)
        call, behind = percentile(callers.took, 0.5), pace.behind(began, ended)
        await fleet.settle()  # judges that no ack was lost
        closes = {code for client in (*fleet.publishers, *fleet.subscribers) for code in client.closes}
        report(
            "rolling-restart",
            seed,
            acks_per_s=acked / (ended - began),
            acks_lost=0,
            calls=callers.answered,
            calls_refused=callers.refused.total(),
            slowest_call_s=max(callers.took),
            p50_call_s=call,
            longest_ack_pause_s=max(acks),
            p50_ack_pause_s=percentile(acks, 0.5),
            longest_delivery_pause_s=max(heard),
            p50_delivery_pause_s=percentile(heard, 0.5),
            rolling_p50_ms=percentile(latencies, 0.5) * 1000,
            rolling_p99_ms=percentile(latencies, 0.99) * 1000,
            slowest_exit_s=max(took),
            closes=",".join(sorted(map(str, closes))),
            **fleet.figures(),
        )
        assert not callers.refused, f"{callers.refused} of {callers.answered + callers.refused.total()} calls"
        own = RETRY_SECONDS[1] + LoadPublisher.MOST_AT_ONCE * publishers / rate  # how long the clients themselves pause
        allowed = GAP_SECONDS + own + _CALLS_OF_A_MOVE * call + behind
        assert max(heard) < allowed, f"a subscriber heard nothing for {max(heard):.2f} s, more than {allowed:.2f} s"
        assert closes <= {1000, 1012}, f"clients were closed with {closes}; None is a connection that was refused"


def longest_pause(times: Sequence[float], since: float, until: float = float("inf")) -> float:
    """Return the longest time between two of these moments within the given period; 0 if there are fewer than two."""
    within = [each for each in times if since <= each <= until]
    return max((later - earlier for earlier, later in pairwise(within)), default=0.0)
