"""Commands across gateways that reach each other over a real Redis, and never ask the database by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.live.command_bots import Bot, ask, receive, until_controls
from tests.gateway.peers.conftest import StartPeers
from tests.support.gateways import Gateway
from tests.support.sockets import Socket, subscriber


@pytest.fixture
async def pair(start_peers: StartPeers) -> list[Gateway]:
    return await start_peers(2, feed_interval=0.05)


async def until_told(board: Socket, session_id: str, expected: dict[str, Any]) -> None:
    """Returns when the newest news by ref has these commands of the session; None: none."""
    told: dict[str, Any] = {}
    while told != expected:
        message = await board.next_of("session")
        if message["session"]["sessionId"] == session_id:
            told[message["ref"]] = message["session"].get("commands")


async def test_a_command_reaches_the_bot_at_another_gateway_and_its_states_come_back(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = await here.create()
    bot = await Bot.connect(here, session_id, "whisper")
    socket = await there.client.ws_connect(f"{there.ws_url}/subscribe")
    there.sockets.append(socket)
    asked = {"ref": "r", "sessionId": session_id, "commandId": "c1", "command": "whisper", "payload": {"text": "now"}}
    await socket.send_json({"type": "command", **asked})
    assert (await receive(socket))["state"] == "requested"
    assert (await bot.receive())["commandId"] == "c1"
    await bot.answer("c1", "accepted")
    assert (await receive(socket))["state"] == "accepted"
    await bot.answer("c1", "done", "said")
    told = await receive(socket)
    assert (told["state"], told["message"]) == ("done", "said")


async def test_a_command_that_was_asked_elsewhere_expires_at_the_gateway_of_the_bot(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = await here.create()
    bot = await Bot.connect(here, session_id, "whisper")
    await ask(there, session_id, "c1", ttlMs=300)
    await bot.receive()
    await until_controls(here, session_id, ("requested", "c1"), ("expired", "c1"))


async def test_watchers_and_feeds_elsewhere_are_told_what_the_bot_takes(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = await here.create()
    board = await subscriber(there)
    await board.subscribe(session_id, 0, ref="session")
    await board.next_of("caughtUp")
    await board.send({"type": "subscribe", "ref": "feed", "feed": "sessions"})
    await board.next_of("sessions")
    bot = await Bot.connect(here, session_id, "say", "end")
    await until_told(board, session_id, {"session": ["say", "end"], "feed": ["say", "end"]})
    await bot.socket.close()
    await until_told(board, session_id, {"session": None, "feed": None})


async def test_an_amendment_at_one_gateway_is_shown_at_the_other(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = await here.create()
    board = await subscriber(there)
    await board.subscribe(session_id, 0)
    await board.next_of("caughtUp")
    await here.ask("PATCH", f"/sessions/{session_id}", json={"language": "de"})
    while (await board.next_of("session"))["session"]["language"] != "de":
        pass
