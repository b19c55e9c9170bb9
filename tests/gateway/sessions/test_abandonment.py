"""A session whose publisher does not come back ends as failed; one that somebody still uses does not."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.failpoints import failing
from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import SECONDS, publisher, subscriber, until

QUICK: dict[str, Any] = {"abandon_after": 0.4, "flush_interval": 0.1}
SURE = {**QUICK, "abandon_after": 2.5}
"""For what must be heard of in time, on a machine that is busy too."""


async def status_of(gateway: Gateway, session_id: str) -> tuple[str, str | None]:
    session = await gateway.get(f"/sessions/{session_id}")
    return session["status"], session["endReason"]


async def abandoned(gateway: Gateway, session_id: str) -> None:
    async with asyncio.timeout(SECONDS):
        while (status := await status_of(gateway, session_id)) != ("failed", "abandoned"):
            assert status[1] is None
            await asyncio.sleep(0.02)


async def test_a_session_whose_publisher_is_away_ends(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(**QUICK)
    session_id = new_id("s")
    bot, board = await publisher(gateway, session_id), await subscriber(gateway)
    await board.subscribe(session_id)
    await board.next("caughtUp")
    await bot.acked("a")
    await bot.close()
    await abandoned(gateway, session_id)
    pushed = await board.next_of("session")
    while pushed["session"]["status"] == "active":
        pushed = await board.next("session")
    assert pushed["session"]["endReason"] == "abandoned"
    assert pushed["session"]["endedAt"] is not None


async def test_one_whose_publisher_is_there_goes_on_however_silent(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(**QUICK)
    session_id, other = new_id("s"), new_id("s")
    bot = await publisher(gateway, session_id)
    for _ in range(2):  # twice the time, as another session shows
        await (await publisher(gateway, other)).close()
        await abandoned(gateway, other)
        other = new_id("s")
    assert await status_of(gateway, session_id) == ("initiated", None)
    await bot.acked("a")


async def test_events_by_rest_and_a_publisher_that_comes_back_keep_it_going(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(**SURE)
    by_rest, by_socket = new_id("s"), new_id("s")
    for session_id in (by_rest, by_socket):
        await (await publisher(gateway, session_id)).close()
    for number in range(10):  # longer than that in all
        await asyncio.sleep(0.3)
        await gateway.post(f"/sessions/{by_rest}/events", new_event(f"e{number}"), status=201)
        await (await publisher(gateway, by_socket)).close()
    assert await status_of(gateway, by_rest) == ("active", None)
    assert await status_of(gateway, by_socket) == ("initiated", None)
    await abandoned(gateway, by_rest)
    await abandoned(gateway, by_socket)


async def test_one_that_never_had_a_publisher_is_left_alone(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(**QUICK)
    never, deserted = await gateway.create(), new_id("s")
    await gateway.fill(never, 1)
    await (await publisher(gateway, deserted)).close()
    await abandoned(gateway, deserted)
    await (await publisher(gateway, new_id("s"))).close()
    assert await status_of(gateway, never) == ("active", None)


async def test_after_a_restart_the_next_gateway_ends_what_the_last_one_left(start_gateway: StartGateway) -> None:
    session_id, ended, never = new_id("s"), new_id("s"), new_id("s")
    gateway = await start_gateway()
    bot = await publisher(gateway, session_id)
    await bot.acked("a")
    await (await publisher(gateway, ended)).ask({"type": "complete"}, "completed")
    await gateway.create(never)
    await gateway.stop()
    gateway = await start_gateway(**QUICK)
    await until(lambda: session_id in gateway.live, "the session in memory")
    await abandoned(gateway, session_id)
    assert await status_of(gateway, ended) == ("completed", None)
    assert await status_of(gateway, never) == ("initiated", None)


async def test_a_publisher_on_another_gateway_counts(start_gateway: StartGateway) -> None:
    session_id = new_id("s")
    here = await start_gateway(**SURE)
    first = await publisher(here, session_id)
    there = await start_gateway(**SURE)
    for _ in range(2):  # twice the time, as another session shows
        other = new_id("s")
        await (await publisher(there, other)).close()
        await abandoned(there, other)
    assert await first.acked("a") == [1]
    assert await status_of(here, session_id) == ("active", None)
    await first.close()
    await abandoned(there, session_id)


async def test_events_by_rest_on_another_gateway_do_not_hide_the_publisher(start_gateway: StartGateway) -> None:
    session_id = new_id("s")
    here, there = await start_gateway(**SURE), await start_gateway(**SURE)
    first = await publisher(here, session_id)
    await there.post(f"/sessions/{session_id}/events", new_event("r"), status=201)  # its head is ahead of ours now
    for _ in range(2):  # twice the time, as another session shows
        other = new_id("s")
        await (await publisher(there, other)).close()
        await abandoned(there, other)
    assert await first.acked("a") == [2]
    assert await status_of(here, session_id) == ("active", None)


async def test_a_storage_that_is_away_only_delays_it(start_gateway: StartGateway, database_uri: str) -> None:
    gateway = await start_gateway(**QUICK)
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    async with failing(database_uri, "find", "update"):
        await bot.close()
        await until(
            lambda: asyncio.get_running_loop().time() - gateway.live[session_id].state.last_active >= 0.8,
            "twice the time",
        )
        assert not gateway.live[session_id].state.ended
    await abandoned(gateway, session_id)
