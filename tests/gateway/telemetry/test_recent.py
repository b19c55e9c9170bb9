"""The metrics of the last ten minutes: taken by the gateway, added up over workers, made into series for plots."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.gateways import Gateway, new_event
from turnwire.gateway.running.worker_member import Member
from turnwire.gateway.telemetry import recent
from turnwire.gateway.telemetry.metrics import ACK_BOUNDS, COMMIT_BOUNDS, Metrics
from turnwire.gateway.telemetry.recent import Reading, Recent, as_series, quantile, together

NO_ACKS = [0] * (len(ACK_BOUNDS) + 1)
NO_COMMITS = [0] * (len(COMMIT_BOUNDS) + 1)


def reading(at: int, **changes: Any) -> Reading:
    values = {"stored": 0, "acks": NO_ACKS, "commits": NO_COMMITS, "publishers": 0, "subscribers": 0}
    return Reading(at=at, **{**values, "live_sessions": 0, "outbox_bytes": 0, "storage_up": True, **changes})


def test_a_quantile_lies_within_the_bucket_of_its_observation() -> None:
    counts = [2, 2, 0]
    assert [quantile(counts, (0.1, 0.2), share) for share in (0.25, 0.5, 0.75, 1)] == pytest.approx(
        [0.05, 0.1, 0.15, 0.2]
    )
    assert quantile([0, 0, 3], (0.1, 0.2), 0.5) == 0.2
    assert quantile([0, 0, 0], (0.1, 0.2), 0.5) is None


def test_readings_of_several_processes_are_added_up_by_their_time() -> None:
    ours = [reading(2, stored=1, publishers=1), reading(4, stored=2)]
    theirs = [reading(4, stored=3, subscribers=2, storage_up=False), reading(6)]
    added = together([*ours, *theirs])
    assert [(each.at, each.stored, each.subscribers, each.storage_up) for each in added] == [
        (2, 1, 0, True),
        (4, 5, 2, False),
        (6, 0, 0, True),
    ]


def test_series_have_rates_latencies_and_sizes_of_commits() -> None:
    acks = [2, *NO_ACKS[1:]]
    commits = [0, 0, 1, *NO_COMMITS[3:]]
    series = as_series([reading(2), reading(4, stored=5, acks=acks, commits=commits, outbox_bytes=7)])
    assert series.times_ms == [2000, 4000]
    got = series.series
    assert (got.events_per_second, got.ack_p50_ms, got.ack_p99_ms) == ([0, 2.5], [None, 0.5], [None, 0.99])
    assert (got.events_per_commit, got.commit_p95, got.outbox_bytes) == ([None, 5], [None, 5], [0, 7])


async def test_a_reading_has_what_came_since_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "EVERY", 0.01)
    metrics = Metrics()
    metrics.gauges = lambda: [(name, "", 1) for name in ("publishers", "subscribers", "live_sessions", "outbox_bytes")]

    def is_up() -> bool:
        metrics.committed(3, 0.002)
        metrics.acked(0.002)
        return True

    taken = Recent(metrics, is_up)
    watching = asyncio.create_task(taken.watch())
    async with asyncio.timeout(10):
        while len(taken.readings) < 3:
            await asyncio.sleep(0.01)
    watching.cancel()
    await asyncio.wait([watching])
    counted = [(each.stored, sum(each.acks), sum(each.commits)) for each in taken.readings]
    assert counted[:3] == [(0, 0, 0), (3, 1, 1), (3, 1, 1)]


async def test_the_gateway_answers_with_the_readings_after_a_time(gateway: Gateway) -> None:
    readings = gateway.gateway.recent.readings
    readings.extend([reading(2, stored=2), reading(4, stored=4)])
    await gateway.create("s")
    await gateway.post("/sessions/s/events", new_event("e1"), status=201)
    answer = await gateway.get("/metrics/recent?afterMs=2000")
    assert (answer["everyMs"], answer["timesMs"][0], answer["series"]["eventsPerSecond"][0]) == (2000, 4000, 2.0)
    assert {len(values) for values in answer["series"].values()} == {len(answer["timesMs"])}
    await gateway.refused("GET", "/metrics/recent?afterMs=x", 400)


async def test_workers_share_their_metrics_and_readings(tmp_path: Any) -> None:
    ours, theirs = Member(tmp_path, "a", -1), Member(tmp_path, "b", -1)
    metrics = Metrics()
    metrics.gauges = tuple
    ends = [await each.share_metrics(metrics.registry, [reading(2, stored=9)]) for each in (ours, theirs)]
    assert await ours.readings() == [reading(2, stored=9)]
    [text] = await ours.expositions()
    assert "turnwire_events_stored_total 0.0" in text
    for end in ends:
        await end()
