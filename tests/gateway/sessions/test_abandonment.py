"""A session whose publisher does not come back ends as failed. One that anyone still uses does not."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.gateways import Gateway, StartGateway, new_id
from tests.support.sockets import SECONDS, publisher, subscriber, until

QUICK: dict[str, Any] = {"abandon_after": 0.4, "flush_interval": 0.1}


async def status_of(gateway: Gateway, session_id: str) -> tuple[str, str | None]:
    session = await gateway.get(f"/sessions/{session_id}")
    return session["status"], session["endReason"]


async def abandoned(gateway: Gateway, session_id: str) -> None:
    async with asyncio.timeout(SECONDS):
        while (status := await status_of(gateway, session_id)) != ("failed", "abandoned"):
            assert status[1] is None
            await asyncio.sleep(0.02)


async def test_a_session_whose_publisher_stays_away_ends_as_abandoned(start_gateway: StartGateway) -> None:
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


async def test_after_a_restart_the_next_gateway_ends_abandoned_sessions(start_gateway: StartGateway) -> None:
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
