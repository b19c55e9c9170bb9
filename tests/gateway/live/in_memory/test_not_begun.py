"""Appends that take the session's task, because something must be looked at first, and what it does with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.in_memory import STARTED, MemoryGateway, Seat, event, pass_time, send, until
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.live.items import AppendItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.protocol.errors import NoSuchSession


async def ready(here: MemoryGateway) -> tuple[LiveSession, Seat]:
    """Return a session with one event, and its publisher. Its task is at rest."""
    live = await here.create("s", event("a", at=0))
    seat = await here.claim(live)
    await until(lambda: not live._task.running)
    return live, seat


def _give_way(live: LiveSession, _: Seat) -> None:
    live.state.way_until = asyncio.get_running_loop().time() + 1


def _past_grace(live: LiveSession, _: Seat) -> None:
    live.state.takes_events = False


def _fenced(_: LiveSession, seat: Seat) -> None:
    seat.finished = True


def _stale(live: LiveSession, _: Seat) -> None:
    live.state.verified_at -= 3600


@pytest.mark.parametrize("change", [_give_way, _past_grace, _fenced, _stale])
async def test_a_session_of_which_not_everything_is_known_sends_nothing_on_at_once(
    here: MemoryGateway, change: Callable[[LiveSession, Seat], None]
) -> None:
    live, seat = await ready(here)
    change(live, seat)
    send(live, seat, event("b"))
    assert live._begun is None
    await until(lambda: not live._task.running)
    assert here.context.waiting.size == 0


async def test_an_append_with_a_condition_waits_for_it(join: StartMemory) -> None:
    alone = join(alone=True)
    live, _ = await ready(alone)

    async def refuse(_: object) -> None:
        raise NoSuchSession("s")

    with pytest.raises(NoSuchSession):
        await alone.requests.append(live.session_id, [event("b")], 100, refuse)
    assert await alone.log() == ["a"]


async def test_a_request_that_nobody_waits_for_is_not_begun(join: StartMemory) -> None:
    alone = join(alone=True)
    live, _ = await ready(alone)
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    done.cancel()
    live.submit(AppendItem([event("b")], 10, STARTED, done=done))
    assert live._begun is None
    await pass_time(1)
    assert await alone.log() == ["a"]


async def test_a_session_with_an_append_on_its_way_is_at_work_and_counts_the_time(join: StartMemory) -> None:
    alone = join(alone=True)
    live = await alone.create("s", event("a", at=0))
    await until(lambda: not live._task.running)
    before = live.state.commit_seconds
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    live.submit(AppendItem([event("b")], 10, STARTED, done=done))
    live.state.unwritten = False  # it was new
    assert live._begun is not None
    assert not live.idle
    assert await alone.sessions.at_work()
    await done
    assert live.state.commit_seconds > before
    assert not await alone.sessions.at_work()


async def test_an_event_out_of_order_is_new_to_the_task(here: MemoryGateway) -> None:
    live, seat = await ready(here)
    send(live, seat, event("earlier", at=-1000))
    assert await seat.heard(1) == [2]
    assert seat.duplicates == []
    assert not live.state.record.time_ordered
