"""Schedules of the one-process world: takeovers, REST, crashes and a failing database between any two steps."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from tests.support.checker import assert_clean
from tests.support.faults.bus import LossyHub
from tests.support.faults.clients import Bot, Caller, Dashboard
from tests.support.faults.world import World, run_world
from turnwire.gateway.sessions import live_sessions, requests


class _Clock:
    """For events without a timestamp: never the same twice, so that it shows which of two writers has stored one."""

    def __init__(self) -> None:
        self._ticks = count()

    def now(self) -> datetime:
        return datetime(2025, 2, 1, tzinfo=UTC) + timedelta(milliseconds=next(self._ticks))


class _Errors(logging.Handler):
    """Keeps what is logged as an error: nothing that happens in these schedules should be unforeseen."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


async def _play(seed: int, gateways: int, *, bus: bool) -> World:
    world = World(seed, gateways=gateways, hub=LossyHub(seed) if bus else None)
    await world.create_sessions()
    bots = [Bot(world, name, "s0", 15) for name in ("one", "two", "three")] + [Bot(world, "other", "s1", 20)]
    writers = [bot.run() for bot in bots] + [Caller(world, session_id, 6).run() for session_id in world.histories]
    dashboards = [Dashboard(world, name, session_id) for name in ("left", "right") for session_id in world.histories]
    await world.play(writers, [dashboard.run() for dashboard in dashboards])
    return world


def play_schedule(seed: int, gateways: int, *, bus: bool = False) -> Counter[str]:
    """Play one and judge it. Returns what it came to. `bus`: the gateways tell each other, over a bus that loses,
    delays, doubles and reorders."""
    errors = _Errors()
    log = logging.getLogger("turnwire")
    log.addHandler(errors)
    try:
        with pytest.MonkeyPatch.context() as patch:
            clock = _Clock()
            for module in (live_sessions, requests):
                patch.setattr(module, "utc_now", clock.now)
            world = run_world(lambda: _play(seed, gateways, bus=bus))
        histories = list(world.histories.values())
        assert_clean(histories)
        assert not world.errors + errors.texts
    except BaseException as error:
        error.add_note(f"seed {seed}, {gateways} gateways")
        raise
    finally:
        log.removeHandler(errors)
    publishings = [publishing for history in histories for publishing in history.publishings]
    return Counter(
        schedules=1,
        stored=sum(len(history.log) for history in histories),
        answers=sum(len(publishing.answers) for publishing in publishings),
        claims=len(publishings),
        failovers=world.database.term,
        crashes=sum(gateway.starts - 1 for gateway in world.gateways),
    )


def play_schedules(seeds: Iterable[int], gateways: int, *, bus: bool = False) -> None:
    """Play them all, and print what they came to. Raises AssertionError, with the seed, for a broken promise."""
    seeds = list(seeds)
    figures: Counter[str] = sum((play_schedule(seed, gateways, bus=bus) for seed in seeds), Counter())
    shown = " ".join(f"{name}={number}" for name, number in figures.items())
    print(f"FAULTS races gateways={gateways} seeds={seeds[0]}…{seeds[-1]}: {shown}", flush=True)
