"""Contests: a gateway that loses every race for the log's next position gets its turn from the winner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.faults.bus import LossyHub
from tests.support.faults.database import MemoryDatabase
from tests.support.faults.line import Line
from tests.support.in_memory import MemoryGateway, Seat, event, pass_time, send
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.live.items import RenewItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.live.state import WAY_SECONDS

_ONE_WAY_SECONDS = 0.003
_COMMIT_SECONDS = 0.05
_EVERY_SECONDS = 0.02


@pytest.fixture(autouse=True)
def even_speed(database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each command take a while, and each commit a long while: always the same, so that no race is won by luck."""

    async def on_the_way(_line: Line, longest: float = 0.0) -> None:
        await asyncio.sleep(_ONE_WAY_SECONDS)

    monkeypatch.setattr(database.random, "uniform", lambda low, high: _COMMIT_SECONDS)
    monkeypatch.setattr(database.random, "random", lambda: 1.0)
    monkeypatch.setattr(Line, "pause", on_the_way)


@asynccontextmanager
async def publishing(gateway: MemoryGateway) -> AsyncIterator[Seat]:
    """Have a publisher send an event every 20 ms, faster than the database commits."""
    live = await gateway.open()
    seat = await gateway.claim(live)

    async def publish() -> None:
        number = 0
        while True:
            send(live, seat, event(f"p{number}"))
            number += 1
            await pass_time(_EVERY_SECONDS)

    task = asyncio.create_task(publish())
    await pass_time(1)
    try:
        yield seat
    finally:
        task.cancel()
        await pass_time(1)


async def seconds_to_append(gateway: MemoryGateway, live: LiveSession, name: str) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await gateway.append(live, event(name))
    return loop.time() - began


async def test_an_event_sent_by_rest_gets_in_beside_a_busy_publisher_at_another_gateway(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    await here.create()
    async with publishing(here) as seat:
        elsewhere = await there.open()
        for number in range(20):
            assert await seconds_to_append(there, elsewhere, f"r{number}") < 1
            await pass_time(0.13)
    log = await here.log()
    assert [each for each in log if each.startswith("r")] == [f"r{number}" for number in range(20)]
    assert seat.seqs == [seq for seq, each in enumerate(log, 1) if each.startswith("p")]


async def test_a_losing_gateway_gets_in_sooner_if_the_bus_reports_its_lost_races(join: StartMemory) -> None:
    hub = LossyHub(1)
    hub.calm()
    here, there = join(bus=hub.line()), join(bus=hub.line())
    for gateway in (here, there):
        gateway.start()
    await here.create()
    async with publishing(here):
        assert await seconds_to_append(there, await there.open(), "r") < 0.4


async def test_a_publisher_gets_in_beside_busy_rest_clients_at_another_gateway(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create(), await there.open()
    seat = await here.claim(live)

    async def call(client: int) -> None:
        number = 0
        while True:
            await there.append(elsewhere, event(f"r{client}-{number}"))
            number += 1

    calls = [asyncio.create_task(call(client)) for client in range(3)]
    await pass_time(1)
    for number in range(10):
        send(live, seat, event(f"p{number}"))
        async with asyncio.timeout(1.5):
            await seat.heard(number + 1)
    for each in calls:
        each.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_the_next_position_is_not_left_for_long_to_a_gateway_that_does_not_take_it(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live = await here.create()
    seat = await here.claim(live)
    await there.store.sessions.contest(live.state.record)
    live.submit(RenewItem())
    loop = asyncio.get_running_loop()
    began = loop.time()
    send(live, seat, event("p"))
    await seat.heard(1)
    assert WAY_SECONDS - 0.1 < loop.time() - began < WAY_SECONDS + 0.5
