"""Who may ask a bot to do something, and whose name stands in the log for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gateway.access.wired import allowed, start_guarded
from tests.gateway.live.command_bots import Bot, receive
from tests.support.gateways import Gateway, StartGateway
from turnwire.protocol.rights import Scope

SAY = {"commandId": "c1", "command": "say", "payload": {"text": "Hello"}}
EVERY_OTHER = " ".join(set(Scope) - {"session:command", "admin"})


@pytest.fixture
async def guarded(start_gateway: StartGateway, tmp_path: Path) -> Gateway:
    gateway = await start_guarded(start_gateway, tmp_path)
    await gateway.create("a1")
    return gateway


async def answer_on_socket(gateway: Gateway, headers: dict[str, str]) -> dict[str, Any]:
    """The first answer to a command of somebody with these headers."""
    socket = await gateway.client.ws_connect(f"{gateway.ws_url}/subscribe", headers=headers)
    gateway.sockets.append(socket)
    await socket.send_json({"type": "command", "ref": "r", "sessionId": "a1", **SAY})
    return await receive(socket)


@pytest.mark.parametrize("headers", [allowed(EVERY_OTHER), allowed("session:read session:command", "b*")])
async def test_without_the_scope_or_the_session_a_command_is_refused(guarded: Gateway, headers: dict[str, str]) -> None:
    await Bot.connect(guarded, "a1", "say")
    refused = await guarded.refused("POST", "/sessions/a1/commands", 403, headers=headers, json=SAY)
    assert refused["code"] == "forbidden"
    error = await answer_on_socket(guarded, headers)
    assert (error["type"], error["code"], error["ref"]) == ("error", "forbidden", "r")
    assert (await guarded.get("/sessions/a1/events"))["events"] == []


@pytest.mark.parametrize("way", ["socket", "rest"])
async def test_the_bot_and_the_log_are_told_who_has_asked(guarded: Gateway, way: str) -> None:
    bot = await Bot.connect(guarded, "a1", "say")
    headers = allowed("session:read session:command", sub="ada")
    if way == "socket":
        assert (await answer_on_socket(guarded, headers))["state"] == "requested"
    else:
        await guarded.post("/sessions/a1/commands", SAY, status=202, headers=headers)
    assert (await bot.receive())["by"] == "sub:ada"
    (event,) = (await guarded.get("/sessions/a1/events"))["events"]
    assert event["payload"]["by"] == "sub:ada"


async def test_a_backend_says_for_whom_it_asks(guarded: Gateway) -> None:
    bot = await Bot.connect(guarded, "a1", "say")
    await guarded.post("/sessions/a1/commands", {**SAY, "by": "grace"}, status=202)
    assert (await bot.receive())["by"] == "grace"


async def test_without_authentication_nobody_knows_who_has_asked(gateway: Gateway) -> None:
    await gateway.create("a1")
    bot = await Bot.connect(gateway, "a1", "say")
    assert (await answer_on_socket(gateway, {}))["state"] == "requested"
    assert (await bot.receive())["by"] is None
