"""The metrics of the last ten minutes, for people who come to look after something has happened."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Final, Never

import msgspec

from turnwire.gateway.telemetry.metrics import ACK_BOUNDS, COMMIT_BOUNDS, Metrics
from turnwire.protocol.bodies import RecentMetrics, RecentSeries

EVERY: Final = 2
"""Seconds between two readings. They are taken at multiples of it, so that those of several processes can be added."""
_KEPT: Final = 300


class Reading(msgspec.Struct, array_like=True):
    """The metrics of one process at one moment. Counts cover the time since the previous reading."""

    at: int
    """Seconds since 1970."""
    stored: int
    acks: list[int]
    """The acks in each bucket of `turnwire_ack_seconds`."""
    commits: list[int]
    """The commits in each bucket of `turnwire_commit_events`."""
    publishers: int
    subscribers: int
    live_sessions: int
    outbox_bytes: int
    storage_up: bool

    def plus(self, other: Reading) -> Reading:
        """Return the reading of two processes together."""
        return Reading(
            self.at,
            self.stored + other.stored,
            [a + b for a, b in zip(self.acks, other.acks, strict=True)],
            [a + b for a, b in zip(self.commits, other.commits, strict=True)],
            self.publishers + other.publishers,
            self.subscribers + other.subscribers,
            self.live_sessions + other.live_sessions,
            self.outbox_bytes + other.outbox_bytes,
            self.storage_up and other.storage_up,
        )


class Recent:
    """The readings of this process, the oldest first. Owned by the task that watches."""

    def __init__(self, metrics: Metrics, is_up: Callable[[], bool]) -> None:
        """`is_up` returns whether the database answers."""
        self._metrics = metrics
        self._is_up = is_up
        self._before = _counted(metrics)
        self.readings: deque[Reading] = deque(maxlen=_KEPT)

    async def watch(self) -> Never:
        """Take readings for as long as the gateway runs."""
        while True:
            await asyncio.sleep(EVERY - time.time() % EVERY)
            self._take(round(time.time() / EVERY) * EVERY)

    def _take(self, at: int) -> None:
        metrics = self._metrics
        now = _counted(metrics)
        (stored, acks, commits), self._before = self._before, now
        gauges = {name: value for name, _, value in metrics.gauges()}
        reading = Reading(
            at,
            now[0] - stored,
            _grown(acks, now[1]),
            _grown(commits, now[2]),
            gauges["publishers"],
            gauges["subscribers"],
            gauges["live_sessions"],
            gauges["outbox_bytes"],
            self._is_up(),
        )
        self.readings.append(reading)


def _counted(metrics: Metrics) -> tuple[int, list[int], list[int]]:
    """Return the events stored so far, and the acks and commits by bucket."""
    return metrics.events_stored, metrics.ack_seconds.counts.copy(), metrics.commit_events.counts.copy()


def _grown(before: Sequence[int], now: Sequence[int]) -> list[int]:
    return [new - old for old, new in zip(before, now, strict=True)]


def together(readings: Iterable[Reading]) -> list[Reading]:
    """Add up the readings of several processes that were taken at the same time. Return them in order of time."""
    by_time: dict[int, Reading] = {}
    for reading in readings:
        known = by_time.get(reading.at)
        by_time[reading.at] = reading if known is None else known.plus(reading)
    return [by_time[at] for at in sorted(by_time)]


def as_series(readings: Sequence[Reading]) -> RecentMetrics:
    """Return the readings as plots draw them."""
    acks = [[_millis(quantile(each.acks, ACK_BOUNDS, share)) for each in readings] for share in (0.5, 0.95, 0.99)]
    return RecentMetrics(
        every_ms=EVERY * 1000,
        times_ms=[each.at * 1000 for each in readings],
        series=RecentSeries(
            events_per_second=[each.stored / EVERY for each in readings],
            ack_p50_ms=acks[0],
            ack_p95_ms=acks[1],
            ack_p99_ms=acks[2],
            publishers=[each.publishers for each in readings],
            subscribers=[each.subscribers for each in readings],
            live_sessions=[each.live_sessions for each in readings],
            outbox_bytes=[each.outbox_bytes for each in readings],
            events_per_commit=[each.stored / sum(each.commits) if any(each.commits) else None for each in readings],
            commit_p95=[_bound_of(each.commits) for each in readings],
            storage_up=[int(each.storage_up) for each in readings],
        ),
    )


def quantile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """Return the value that this share of the observations does not exceed, taken as evenly spread in its bucket; None
    without observations. The last bucket has no upper bound: its values count as its lower one."""
    wanted = share * sum(counts)
    if not wanted:
        return None
    for (low, high), (before, after) in zip(pairwise((0.0, *bounds)), pairwise((0, *accumulate(counts))), strict=False):
        if after >= wanted:
            return low + (high - low) * (wanted - before) / (after - before)
    return float(bounds[-1])


def _bound_of(commits: Sequence[int]) -> float | None:
    """Return the upper bound of the bucket with the commit that 95 in 100 do not exceed."""
    value = quantile(commits, COMMIT_BOUNDS, 0.95)
    return None if value is None else next(bound for bound in COMMIT_BOUNDS if bound >= value)


def _millis(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
