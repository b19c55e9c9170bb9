"""Races between publishers, REST callers, takeovers, crashes and a database that fails, each schedule from its seed."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from gateway import hub
from tests.support.checker import assert_clean
from tests.support.faults_clients import Bot, Caller, Dashboard
from tests.support.faults_world import World, run_world

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]
SCHEDULES = 150


def seeds() -> Iterable[int]:
    """FAULTS_SEED=… plays one schedule alone."""
    alone = os.environ.get("FAULTS_SEED")
    return range(SCHEDULES) if alone is None else [int(alone)]


class Clock:
    """For events without a timestamp: never the same twice, so that it shows which of two writers has stored one."""

    def __init__(self) -> None:
        self._ticks = count()

    def now(self) -> datetime:
        return datetime(2025, 2, 1, tzinfo=UTC) + timedelta(milliseconds=next(self._ticks))


async def play(seed: int, gateways: int) -> World:
    world = World(seed, gateways=gateways)
    await world.create_sessions()
    bots = [Bot(world, "old", "s0", 25), Bot(world, "new", "s0", 15), Bot(world, "other", "s1", 20)]
    writers = [bot.run() for bot in bots] + [Caller(world, session_id, 6).run() for session_id in world.histories]
    dashboards = [Dashboard(world, "one", "s0"), Dashboard(world, "two", "s0"), Dashboard(world, "three", "s1")]
    await world.play(writers, [dashboard.run() for dashboard in dashboards])
    return world


@pytest.mark.parametrize("gateways", [1, 2])
def test_no_schedule_loses_doubles_or_disorders_an_acked_event(
    gateways: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "utc_now", Clock().now)
    stored = acked = claims = 0
    for seed in seeds():
        caplog.clear()
        try:
            world = run_world(lambda seed=seed: play(seed, gateways))  # type: ignore[misc]
            histories = list(world.histories.values())
            assert_clean(histories)
            assert not world.errors
            assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        except BaseException as error:
            error.add_note(f"FAULTS_SEED={seed}, {gateways} gateways")
            raise
        stored += sum(len(history.log) for history in histories)
        acked += sum(len(each.answers) for history in histories for each in history.publishings)
        claims += sum(len(history.publishings) for history in histories)
    print(f"races: {gateways} gateways, seeds 0…{SCHEDULES - 1}: {stored} stored, {acked} answers, {claims} claims")
