"""Periodic work: eviction, abandonment, expiry, heartbeats, and closing publishers whose events wait too long."""

from __future__ import annotations

import asyncio
from itertools import count, pairwise

import pytest

from tests.support.in_memory import Crowd, MemoryGateway, event, events, pass_time, send, until
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.sessions.tending import Tending
from turnwire.gateway.turns import A_FEW, Turns
from turnwire.protocol.errors import CloseCode


async def test_an_unused_session_leaves_memory_and_one_in_use_stays(join: StartMemory) -> None:
    here = join(idle_evict=5.0, flush_interval=1.0)
    here.start()
    unused, watched, published = [await here.create(name, event("a")) for name in ("unused", "watched", "published")]
    watched.state.audience = Crowd()
    seat = await here.claim(published)
    await pass_time(8)
    assert set(here.live) == {"watched", "published"}
    watched.state.audience = None
    await here.end(published)
    published.release(seat)
    await pass_time(8)
    assert here.live == {}
    assert not unused.state.unwritten


async def test_a_deserted_session_stays_until_it_is_abandoned(join: StartMemory) -> None:
    here = join(idle_evict=1.0, flush_interval=1.0, abandon_after=20.0)
    here.start()
    live = await here.create()
    live.release(await here.claim(live))
    await pass_time(19)
    assert here.live["s"] is live
    await pass_time(3)
    assert (await here.stored()).end_reason == "abandoned"
    await until(lambda: here.live == {})


async def test_a_silent_publisher_is_visible_to_other_gateways_by_its_heartbeat(join: StartMemory) -> None:
    here, there = join(abandon_after=20.0), join(abandon_after=20.0)
    for gateway in (here, there):
        gateway.start()
    live = await here.create()
    seat = await here.claim(live)
    left = await there.open()
    await pass_time(100)
    assert ((await here.stored()).ended_at, seat.codes) == (None, [])
    assert (await here.stored()).heartbeat >= 15
    live.release(seat)
    await pass_time(45)
    assert (await here.stored()).end_reason == "abandoned"
    assert left.state.takes_events


async def test_a_publisher_that_comes_back_elsewhere_is_not_abandoned_where_it_was_before(join: StartMemory) -> None:
    here, there = join(abandon_after=10.0, flush_interval=1.0), join(abandon_after=10.0, flush_interval=1.0)
    for gateway in (here, there):
        gateway.start()
    live = await there.create()
    live.release(await there.claim(live))
    seat = await here.claim(await here.open())
    for _ in range(60):
        await pass_time(1)
        assert (await there.requests.view("s")).session.ended_at is None
    assert (seat.was_superseded, seat.codes) == (False, [])


async def test_a_gateway_alone_writes_no_heartbeat(join: StartMemory) -> None:
    alone = join(alone=True, abandon_after=5.0)
    alone.start()
    await alone.claim(await alone.create())
    await pass_time(60)
    assert ((await alone.stored()).heartbeat, (await alone.stored()).ended_at) == (0, None)


async def test_a_publisher_whose_events_wait_too_long_for_the_storage_is_closed(join: StartMemory) -> None:
    here = join(storage_timeout=5.0)
    here.start()
    live = await here.create()
    seat = await here.claim(live)
    here.database.away = True
    send(live, seat, event("a"))
    await pass_time(4.5)
    assert seat.codes == []
    await pass_time(2)
    assert set(seat.codes) == {CloseCode.TRY_LATER}
    here.database.away = False
    await until(lambda: len(seat.answers) == 1)


async def test_an_abandoned_session_is_ended_once_the_storage_is_back(join: StartMemory) -> None:
    here = join(abandon_after=5.0)
    here.start()
    live = await here.create()
    live.release(await here.claim(live))
    here.database.away = True
    await pass_time(15)
    assert not live.state.ended
    here.database.away = False
    await until(lambda: live.state.ended)


async def test_events_by_rest_keep_a_deserted_session_open(join: StartMemory) -> None:
    here = join(abandon_after=5.0)
    here.start()
    live = await here.create()
    live.release(await here.claim(live))
    for number in range(10):
        await pass_time(3)
        await here.append(live, *events(f"e{number}"))
    assert not live.state.ended
    await pass_time(7)
    assert live.state.ended


@pytest.mark.parametrize("away", [50.0, 51.0, 52.5, 61.0])
@pytest.mark.parametrize("in_memory", [True, False], ids=["deserted here", "in no memory here"])
async def test_a_long_outage_does_not_make_a_publisher_at_another_gateway_look_gone(
    join: StartMemory, in_memory: bool, away: float
) -> None:
    here, there = join(abandon_after=40.0), join(abandon_after=40.0)
    for gateway in (here, there):
        gateway.start()
    live = await here.create()
    live.release(await here.claim(live))
    seat = await there.claim(await there.open())
    if not in_memory:
        await here.requests.view("s")
        await until(lambda: live.idle or live.state.record.epoch == 2)
        del here.live["s"]
        await live.stop()
    await pass_time(20.5)  # the session was checked, and its next heartbeat is not written yet
    here.database.away = True
    await pass_time(away)
    here.database.away = False
    await pass_time(80)
    assert ((await here.stored()).ended_at, seat.codes) == (None, [])
    there.live["s"].release(seat)
    await pass_time(200)
    assert (await here.stored()).end_reason == "abandoned"


def slow_tending(here: MemoryGateway) -> Tending:
    """One that takes a millisecond, by its own clock, for each look at the clock. Unused sessions leave at once."""
    looks = count()
    turns = Turns(lambda: next(looks) / 1000)
    return Tending(here.parts.context, here.parts.sessions, turns, idle_evict=0.0, storage_timeout=60.0)


async def test_many_sessions_are_tended_a_few_at_a_time(here: MemoryGateway) -> None:
    for number in range(5 * A_FEW):
        await here.create(f"s{number}")
    await pass_time(1)
    tending = asyncio.create_task(slow_tending(here).tend())
    sizes = [len(here.live)]
    while not tending.done():
        await asyncio.sleep(0.0001)
        sizes.append(len(here.live))
    assert (sizes[0], sizes[-1]) == (5 * A_FEW, 0)
    assert max(before - after for before, after in pairwise(sizes)) == A_FEW


async def test_a_session_that_comes_back_while_others_are_tended_is_not_taken_for_the_one_that_left(
    here: MemoryGateway,
) -> None:
    for number in range(2 * A_FEW):
        await here.create(f"s{number}")
    last = here.live[f"s{2 * A_FEW - 1}"]
    await pass_time(1)
    tending = asyncio.create_task(slow_tending(here).tend())
    await until(lambda: len(here.live) == A_FEW)
    assert here.parts.sessions.evict(last)
    back = await here.open(last.session_id)
    with back.held():
        await tending
    assert here.live == {last.session_id: back}
