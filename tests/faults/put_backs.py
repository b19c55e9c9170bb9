"""Schedules in which the database is restored from an older copy between any two steps, and answers with forged
replies.

What was acked before is then lost, and nothing can change that. What must hold: logs have no hole and no event twice,
what is acked afterwards is stored, what is stored beside a log claims no more than the log holds, and watchers are
told.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

import pytest

from tests.support.faults.clients import Bot, Caller
from tests.support.faults.followers import Dashboard
from tests.support.faults.promises import Document
from tests.support.faults.world import World, run_world
from tests.support.in_memory import set_wall_clock, shrink_pages

SETTLED_SECONDS = 4.0
"""Seconds that an ack may be on its way. Its event was then durable before the copy was restored."""
_EXPECTED = ("has lost", "was restored from an older copy", "Document failed validation")


class _Errors(logging.Handler):
    """Keeps everything that is logged as an error, except that logs have lost their ends."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if not any(expected in text for expected in _EXPECTED):
            self.texts.append(text)


async def _play(seed: int, gateways: int, patch: pytest.MonkeyPatch) -> World:
    world = World(seed, gateways=gateways, sessions=3, backups=True)
    set_wall_clock(patch, world.stamp)
    await world.create_sessions()
    writers = [Bot(world, "one", "s0", 40).run(), Bot(world, "two", "s0", 20).run(), Bot(world, "solo", "s1", 50).run()]
    writers += [Caller(world, "s1", 6).run(), Caller(world, "s2", 6).run()]
    readers = [Dashboard(world, name, session_id).run() for name, session_id in (("left", "s0"), ("right", "s1"))]
    await world.play(writers, readers)
    return world


def _judge(world: World) -> list[str]:
    wrong = []
    for session_id, history in world.histories.items():
        log = history.log
        if [entry.seq for entry in log] != list(range(1, len(log) + 1)):
            wrong.append(f"{session_id!r} has a hole: {[entry.seq for entry in log]}")
        twice = [event_id for event_id, times in Counter(entry.event_id for entry in log).items() if times > 1]
        if twice:
            wrong.append(f"{session_id!r} has {twice} twice")
        at = {entry.seq: entry.event_id for entry in log}
        since = world.put_back_at + SETTLED_SECONDS
        for when, seq, event_id in world.acked[session_id]:
            if when >= since and at.get(seq) != event_id:
                wrong.append(f"{session_id!r}: {event_id} was acked as seq={seq}, where {at.get(seq)} stands")
        wrong += _judge_beside(session_id, len(log), world.database.majority["sessions"][session_id])
    return wrong


def _judge_beside(session_id: str, head: int, stored: Document) -> Iterable[str]:
    if stored["lastSeq"] > head:
        yield f"{session_id!r}: lastSeq={stored['lastSeq']} of {head} events"


def play_put_back(seed: int, gateways: int) -> Counter[str]:
    """Play one schedule and judge it. Return its results."""
    errors = _Errors()
    log = logging.getLogger("turnwire")
    log.addHandler(errors)
    try:
        with pytest.MonkeyPatch.context() as patch:
            shrink_pages(patch, 8)
            world = run_world(lambda: _play(seed, gateways, patch))
        wrong = _judge(world) + world.promises.broken + world.errors + errors.texts
        assert not wrong, "\n".join(wrong[:20])
    except BaseException as error:
        error.add_note(f"seed {seed}, {gateways} gateways")
        raise
    finally:
        log.removeHandler(errors)
    return Counter(
        schedules=1,
        stored=sum(len(history.log) for history in world.histories.values()),
        acks=sum(map(len, world.acked.values())),
        put_back=world.database.restored,
        rolled_back=int(world.metrics.log_rollbacks),
        crashes=sum(gateway.starts - 1 for gateway in world.gateways),
    )


def play_put_backs(seeds: Iterable[int], gateways: int) -> None:
    """Play all schedules, and print their results. Raises AssertionError, with the seed, for a broken promise."""
    seeds = list(seeds)
    figures: Counter[str] = sum((play_put_back(seed, gateways) for seed in seeds), Counter())
    shown = " ".join(f"{name}={number}" for name, number in figures.items())
    print(f"FAULTS put-backs gateways={gateways} seeds={seeds[0]}…{seeds[-1]}: {shown}", flush=True)
