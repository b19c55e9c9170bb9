"""Delivery of commands to a bot: in order, until the bot has answered or the command has expired."""

from __future__ import annotations

import asyncio

from tests.gateway.live.command_bots import Bot, ask, until_controls, until_controls_include
from tests.support.gateways import Gateway, StartGateway


async def test_an_unanswered_command_is_delivered_again_to_the_next_bot_that_accepts_it(gateway: Gateway) -> None:
    session_id = await gateway.create()
    first = await Bot.connect(gateway, session_id, "whisper")
    for number in range(3):
        await ask(gateway, session_id, f"c{number}", ttlMs=60_000)
    assert [(await first.receive())["commandId"] for _ in range(3)] == ["c0", "c1", "c2"]
    await first.answer("c1", "accepted")
    await until_controls(gateway, session_id, *[("requested", f"c{n}") for n in range(3)], ("accepted", "c1"))
    second = await Bot.connect(gateway, session_id, "whisper")
    assert [(await second.receive())["commandId"] for _ in range(2)] == ["c0", "c2"]


async def test_a_bot_that_sends_no_accept_gets_no_command(gateway: Gateway) -> None:
    session_id = await gateway.create()
    bot = await Bot.connect(gateway, session_id, "whisper")
    await ask(gateway, session_id, "c1", ttlMs=60_000)
    await bot.receive()
    newer = await Bot.connect(gateway, session_id)
    await newer.socket.send_json({"type": "ping"})
    assert (await newer.receive())["type"] == "pong"
    assert "commands" not in await gateway.get(f"/sessions/{session_id}")


async def test_an_unanswered_command_expires_and_is_not_delivered_afterwards(gateway: Gateway) -> None:
    session_id = await gateway.create()
    bot = await Bot.connect(gateway, session_id, "whisper")
    await ask(gateway, session_id, "c1", ttlMs=200)
    await bot.receive()
    await until_controls(gateway, session_id, ("requested", "c1"), ("expired", "c1"))
    assert (await ask(gateway, session_id, "c1"))["state"] == "expired"
    again = await Bot.connect(gateway, session_id, "whisper")
    await ask(gateway, session_id, "c2")
    assert (await again.receive())["commandId"] == "c2"
    await again.answer("c1", "done")
    await again.answer("c2", "done")
    await until_controls(
        gateway, session_id, ("requested", "c1"), ("expired", "c1"), ("requested", "c2"), ("done", "c2")
    )


async def test_a_command_expires_even_if_its_bot_has_left(gateway: Gateway) -> None:
    session_id = await gateway.create()
    bot = await Bot.connect(gateway, session_id, "whisper")
    await ask(gateway, session_id, "c1", ttlMs=300)
    await bot.socket.close()
    await until_controls(gateway, session_id, ("requested", "c1"), ("expired", "c1"))


async def test_the_result_of_a_replaced_publisher_is_dropped(gateway: Gateway, start_gateway: StartGateway) -> None:
    session_id = await gateway.create()
    older = await Bot.connect(gateway, session_id, "whisper")
    await ask(gateway, session_id, "c1", ttlMs=60_000)
    await older.receive()
    elsewhere = await start_gateway()
    newer = await Bot.connect(elsewhere, session_id, "whisper")
    await older.answer("c1", "failed")
    assert (await newer.receive())["commandId"] == "c1"
    await newer.answer("c1", "done")
    await until_controls(elsewhere, session_id, ("requested", "c1"), ("done", "c1"))


async def test_a_command_reaches_the_bot_whichever_gateway_was_asked(
    gateway: Gateway, start_gateway: StartGateway
) -> None:
    other = await start_gateway()
    session_id = await gateway.create()
    bot = await Bot.connect(gateway, session_id, "whisper")
    await ask(other, session_id, "c1")
    assert (await bot.receive())["commandId"] == "c1"
    await bot.answer("c1", "done", "ok")
    await until_controls(other, session_id, ("requested", "c1"), ("done", "c1"))
    assert await ask(other, session_id, "c1") == {"commandId": "c1", "state": "done", "message": "ok"}


async def test_open_commands_survive_a_restart_of_the_gateway(start_gateway: StartGateway) -> None:
    first = await start_gateway()
    session_id = await first.create()
    bot = await Bot.connect(first, session_id, "whisper")
    await first.post(
        f"/sessions/{session_id}/events",
        {"events": [{"eventId": f"e{n}", "type": "user_speech", "payload": {}} for n in range(120)]},
        status=201,
    )
    await ask(first, session_id, "c1", ttlMs=60_000)
    await ask(first, session_id, "c2", ttlMs=60_000)
    await bot.receive()
    await bot.answer("c1", "done")
    await until_controls_include(first, session_id, ("done", "c1"))
    await first.stop()
    second = await start_gateway()
    again = await Bot.connect(second, session_id, "whisper")
    assert (await again.receive())["commandId"] == "c2"


async def test_a_session_leaves_memory_once_its_commands_are_answered(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(idle_evict=0.1)
    session_id = await gateway.create()
    bot = await Bot.connect(gateway, session_id, "whisper")
    await ask(gateway, session_id, "c1")
    await bot.receive()
    await bot.answer("c1", "done")
    await until_controls(gateway, session_id, ("requested", "c1"), ("done", "c1"))
    await bot.socket.close()
    await gateway.post(f"/sessions/{session_id}/complete", {})
    async with asyncio.timeout(10):
        while session_id in gateway.live:
            await asyncio.sleep(0.02)
