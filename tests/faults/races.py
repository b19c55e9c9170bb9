"""Schedules of the one-process world: takeovers, REST, crashes and a failing database between any two steps."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

import pytest

from tests.support.checker import assert_clean
from tests.support.faults.bus import LossyHub
from tests.support.faults.clients import Bot, Caller
from tests.support.faults.commands import Butler, Supervisor
from tests.support.faults.followers import Dashboard
from tests.support.faults.visitors import Ender, Idler, Leaver, Visitor
from tests.support.faults.world import World, run_world
from tests.support.in_memory import set_wall_clock, shrink_pages
from turnwire.store.lanes import append_lane

_COMMANDS_EACH = 4
"""One schedule in this many has an additional session with commands."""


class _Errors(logging.Handler):
    """Keeps everything that is logged as an error, because no event in these schedules should be unexpected."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "Document failed validation" not in (text := self.format(record)):  # as some events do
            self.texts.append(text)


async def _play(seed: int, gateways: int, patch: pytest.MonkeyPatch, *, bus: bool) -> World:
    commands = seed % _COMMANDS_EACH == 0
    world = World(seed, gateways=gateways, sessions=4 + commands, hub=LossyHub(seed) if bus else None)
    set_wall_clock(patch, world.stamp)
    await world.create_sessions()
    bots = [Bot(world, "one", "s0", 10), Bot(world, "two", "s0", 10)]
    bots += [Leaver(world, "leaver", "s1", 10), Leaver(world, "later", "s1", 6), Idler(world, "idler", "s2", 6)]
    callers = [Caller(world, "s0", 4), Ender(world, "s1", 3), Caller(world, "s3", 3)]
    visitors = [Visitor(world, session_id, 6) for session_id in world.histories]
    supervisors: list[Supervisor] = []
    if commands:
        bots += [Butler(world, "butler", "s4", 6), Bot(world, "valet", "s4", 3)]
        supervisors = [Supervisor(world, "s4", 5), Supervisor(world, "s4", 5)]
    writers = [bot.run() for bot in bots]
    writers += [caller.run() for caller in callers] + [visitor.run() for visitor in visitors]
    writers += [supervisor.run() for supervisor in supervisors]
    dashboards = [Dashboard(world, name, session_id) for name, session_id in (("left", "s0"), ("right", "s1"))]
    await world.play(writers, [dashboard.run() for dashboard in dashboards])
    return world


def play_schedule(seed: int, gateways: int, *, bus: bool = False) -> Counter[str]:
    """Play one schedule and judge it. Return its results. With `bus`, the gateways announce news over a bus that loses,
    delays, duplicates and reorders messages."""
    errors = _Errors()
    log = logging.getLogger("turnwire")
    log.addHandler(errors)
    try:
        with pytest.MonkeyPatch.context() as patch:
            shrink_pages(patch, 8)
            if seed % 2:  # every append that meets an insert begins another one beside it
                patch.setattr(append_lane, "OVERLAP_BYTES", 1)
            world = run_world(lambda: _play(seed, gateways, patch, bus=bus))
        histories = list(world.histories.values())
        assert_clean(histories)
        broken = world.errors + errors.texts + world.promises.broken
        assert not broken, "\n".join(broken[:20])
    except BaseException as error:
        error.add_note(f"seed {seed}, {gateways} gateways")
        raise
    finally:
        log.removeHandler(errors)
    ends = [session["endReason"] for session in world.database.majority["sessions"].values() if session["endedAt"]]
    publishings = [publishing for history in histories for publishing in history.publishings]
    return Counter(
        schedules=1,
        stored=sum(len(history.log) for history in histories),
        answers=sum(len(publishing.answers) for publishing in publishings),
        nacks=sum(answer.code is not None for publishing in publishings for answer in publishing.answers),
        claims=len(publishings),
        ends=len(ends),
        abandoned=ends.count("abandoned"),
        pages=len(world.database.majority["digests"]),
        failovers=world.database.term,
        commands=sum(len({each.command_id for each in history.asked}) for history in histories),
        carried_out=sum(len(history.begun) for history in histories),
        crashes=sum(gateway.starts - 1 for gateway in world.gateways),
    )


def play_schedules(seeds: Iterable[int], gateways: int, *, bus: bool = False) -> None:
    """Play all schedules and print their results. Raises AssertionError, with the seed, for a broken promise."""
    seeds = list(seeds)
    figures: Counter[str] = sum((play_schedule(seed, gateways, bus=bus) for seed in seeds), Counter())
    shown = " ".join(f"{name}={number}" for name, number in figures.items())
    print(f"FAULTS races gateways={gateways} seeds={seeds[0]}…{seeds[-1]}: {shown}", flush=True)
