"""Commands to a bot: durable before they are answered, delivered in order until they are answered or too old."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.support.gateways import Gateway, StartGateway

Json = dict[str, Any]
WHISPER = {"text": "offer a discount"}


class Bot:
    """A bot on a socket of its own, which answers when it is told to."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[Any]) -> None:
        self.socket = socket

    @classmethod
    async def connect(cls, gateway: Gateway, session_id: str, *accepted: str) -> Bot:
        """With `opened` read; takes these commands, which the gateway knows when this returns."""
        socket = await gateway.client.ws_connect(f"{gateway.ws_url}/sessions/{session_id}/publish")
        gateway.sockets.append(socket)
        bot = cls(socket)
        assert (await bot.receive())["type"] == "opened"
        if accepted:
            await socket.send_json({"type": "accept", "commands": list(accepted)})
            await until_accepted(gateway, session_id, list(accepted))
        return bot

    async def receive(self) -> Json:
        return await receive(self.socket)

    async def answer(self, command_id: str, state: str, message: str | None = None) -> None:
        result: Json = {"type": "commandResult", "commandId": command_id, "state": state}
        await self.socket.send_json(result if message is None else {**result, "message": message})


async def receive(socket: aiohttp.ClientWebSocketResponse[Any]) -> Json:
    async with asyncio.timeout(10):
        return await socket.receive_json()  # type: ignore[no-any-return]


async def until_accepted(gateway: Gateway, session_id: str, commands: list[str] | None) -> None:
    async with asyncio.timeout(10):
        while (await gateway.get(f"/sessions/{session_id}")).get("commands") != commands:
            await asyncio.sleep(0.02)


async def ask(gateway: Gateway, session_id: str, command_id: str, command: str = "whisper", **fields: Any) -> Json:
    body = {"commandId": command_id, "command": command, "payload": WHISPER, **fields}
    return await gateway.post(f"/sessions/{session_id}/commands", body, status=202)  # type: ignore[no-any-return]


async def controls(gateway: Gateway, session_id: str) -> list[tuple[str, str]]:
    """(state, commandId) of the events about commands, in the order of the log."""
    events = (await gateway.get(f"/sessions/{session_id}/events"))["events"]
    payloads = [event["payload"] for event in events if event["payload"].get("event", "").startswith("control.")]
    return [(payload["event"].removeprefix("control."), payload["commandId"]) for payload in payloads]


async def until_controls(gateway: Gateway, session_id: str, *expected: tuple[str, str]) -> None:
    async with asyncio.timeout(10):
        while await controls(gateway, session_id) != list(expected):
            await asyncio.sleep(0.02)


async def test_a_command_is_in_the_log_before_it_is_answered_and_reaches_the_bot(gateway: Gateway) -> None:
    session_id = await gateway.create()
    bot = await Bot.connect(gateway, session_id, "whisper")
    assert await ask(gateway, session_id, "c1", by="ada") == {"commandId": "c1", "state": "requested"}
    assert await controls(gateway, session_id) == [("requested", "c1")]
    command = await bot.receive()
    assert command.pop("expiresAt") > "2025"
    assert command == {"type": "command", "commandId": "c1", "command": "whisper", "payload": WHISPER, "by": "ada"}
    await bot.answer("c1", "accepted")
    await bot.answer("c1", "done", "said it")
    await until_controls(gateway, session_id, ("requested", "c1"), ("accepted", "c1"), ("done", "c1"))


async def test_the_same_command_again_gets_its_present_state_and_is_not_delivered_again(gateway: Gateway) -> None:
    session_id = await gateway.create()
    bot = await Bot.connect(gateway, session_id, "whisper")
    await ask(gateway, session_id, "c1")
    await bot.receive()
    await bot.answer("c1", "refused", "not now")
    await until_controls(gateway, session_id, ("requested", "c1"), ("refused", "c1"))
    body = {"commandId": "c1", "command": "whisper", "payload": WHISPER}
    async with gateway.request("POST", f"/sessions/{session_id}/commands", json=body) as response:
        assert response.status == 202
        assert response.headers["Idempotent-Replayed"] == "true"
        assert await response.json() == {"commandId": "c1", "state": "refused", "message": "not now"}
    await ask(gateway, session_id, "c2")
    assert (await bot.receive())["commandId"] == "c2"


async def test_a_known_command_id_with_another_payload_is_a_conflict(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await Bot.connect(gateway, session_id, "whisper", "say")
    await ask(gateway, session_id, "c1")
    for other in ({"command": "whisper", "payload": {"text": "else"}}, {"command": "say", "payload": WHISPER}):
        path = f"/sessions/{session_id}/commands"
        envelope = await gateway.refused("POST", path, 409, json={"commandId": "c1", **other})
        assert envelope["code"] == "event_conflict"
    assert await controls(gateway, session_id) == [("requested", "c1")]


@pytest.mark.parametrize(
    ("command", "payload"),
    [
        ("whisper", {}),
        ("whisper", {"text": ""}),
        ("whisper", {"text": 1}),
        ("say", {"text": "hi", "interrupt": "yes"}),
        ("say", {"text": "hi", "end": 1}),
        ("end", {"say": 1}),
        ("end", {"reason": None}),
    ],
)
async def test_a_standard_payload_that_is_not_right_is_refused(gateway: Gateway, command: str, payload: Json) -> None:
    session_id = await gateway.create()
    await Bot.connect(gateway, session_id, command)
    body = {"commandId": "c1", "command": command, "payload": payload}
    assert (await gateway.refused("POST", f"/sessions/{session_id}/commands", 400, json=body))["code"] == (
        "invalid_message"
    )
    assert await controls(gateway, session_id) == []


@pytest.mark.parametrize(
    "wrong",
    [{"commandId": ""}, {"command": ""}, {"by": ""}, {"ttlMs": 0}, {"ttlMs": 60_001}, {"payload": {"n": 2**64}}],
)
async def test_a_command_out_of_the_limits_is_refused(gateway: Gateway, wrong: Json) -> None:
    session_id = await gateway.create()
    body = {"commandId": "c1", "command": "transfer", "payload": {}, **wrong}
    await gateway.refused("POST", f"/sessions/{session_id}/commands", 400, json=body)


async def test_other_commands_pass_to_bots_that_accept_them(gateway: Gateway) -> None:
    session_id = await gateway.create()
    bot = await Bot.connect(gateway, session_id, "transfer")
    await ask(gateway, session_id, "c1", "transfer", payload={"to": "+49"})
    assert (await bot.receive())["payload"] == {"to": "+49"}


async def test_without_a_bot_that_accepts_it_a_command_is_not_accepted(gateway: Gateway) -> None:
    session_id = await gateway.create()
    path, body = f"/sessions/{session_id}/commands", {"commandId": "c1", "command": "whisper", "payload": WHISPER}
    assert (await gateway.refused("POST", path, 409, json=body))["code"] == "not_accepted"
    bot = await Bot.connect(gateway, session_id, "say")
    assert (await gateway.refused("POST", path, 409, json=body))["code"] == "not_accepted"
    await bot.socket.close()
    await until_accepted(gateway, session_id, None)
    body["command"] = "say"
    assert (await gateway.refused("POST", path, 409, json=body))["code"] == "not_accepted"
    assert await controls(gateway, session_id) == []


async def test_an_ended_session_takes_no_commands_but_still_tells_of_old_ones(gateway: Gateway) -> None:
    session_id = await gateway.create()
    bot = await Bot.connect(gateway, session_id, "whisper")
    await ask(gateway, session_id, "c1")
    await bot.receive()
    await bot.answer("c1", "done")
    await until_controls(gateway, session_id, ("requested", "c1"), ("done", "c1"))
    await gateway.post(f"/sessions/{session_id}/complete", {})
    path, body = f"/sessions/{session_id}/commands", {"commandId": "c2", "command": "whisper", "payload": WHISPER}
    assert (await gateway.refused("POST", path, 409, json=body))["code"] == "session_ended"
    assert (await ask(gateway, session_id, "c1"))["state"] == "done"


async def test_an_unknown_session_is_not_found(gateway: Gateway) -> None:
    body = {"commandId": "c1", "command": "whisper", "payload": WHISPER}
    assert (await gateway.refused("POST", "/sessions/none/commands", 404, json=body))["code"] == "not_found"


async def test_a_command_without_an_answer_is_delivered_again_to_each_bot_that_accepts_it(gateway: Gateway) -> None:
    session_id = await gateway.create()
    first = await Bot.connect(gateway, session_id, "whisper")
    for number in range(3):
        await ask(gateway, session_id, f"c{number}", ttlMs=60_000)
    assert [(await first.receive())["commandId"] for _ in range(3)] == ["c0", "c1", "c2"]
    await first.answer("c1", "accepted")
    await until_controls(gateway, session_id, *[("requested", f"c{n}") for n in range(3)], ("accepted", "c1"))
    second = await Bot.connect(gateway, session_id, "whisper")
    assert [(await second.receive())["commandId"] for _ in range(2)] == ["c0", "c2"]


async def test_a_bot_that_has_not_said_accept_gets_no_command(gateway: Gateway) -> None:
    session_id = await gateway.create()
    bot = await Bot.connect(gateway, session_id, "whisper")
    await ask(gateway, session_id, "c1", ttlMs=60_000)
    await bot.receive()
    newer = await Bot.connect(gateway, session_id)
    await newer.socket.send_json({"type": "ping"})
    assert (await newer.receive())["type"] == "pong"
    assert "commands" not in await gateway.get(f"/sessions/{session_id}")


async def test_a_command_that_nobody_answers_expires_and_is_not_delivered_after_it(gateway: Gateway) -> None:
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


async def test_a_command_expires_also_when_its_bot_has_left(gateway: Gateway) -> None:
    session_id = await gateway.create()
    bot = await Bot.connect(gateway, session_id, "whisper")
    await ask(gateway, session_id, "c1", ttlMs=300)
    await bot.socket.close()
    await until_controls(gateway, session_id, ("requested", "c1"), ("expired", "c1"))


async def test_the_result_of_a_fenced_publisher_is_fenced(gateway: Gateway, start_gateway: StartGateway) -> None:
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


async def until_controls_include(gateway: Gateway, session_id: str, expected: tuple[str, str]) -> None:
    async with asyncio.timeout(10):
        while True:
            page = await gateway.get(f"/sessions/{session_id}?limit=10&order=desc")
            found = [(e["payload"].get("event", "control.")[8:], e["payload"].get("commandId")) for e in page["events"]]
            if expected in found:
                return
            await asyncio.sleep(0.02)


async def test_a_subscriber_asks_and_is_told_each_state(gateway: Gateway, start_gateway: StartGateway) -> None:
    session_id = await gateway.create()
    bot = await Bot.connect(gateway, session_id, "whisper")
    other = await start_gateway()
    for at, command_id in ((gateway, "c1"), (other, "c2")):
        socket = await at.client.ws_connect(f"{at.ws_url}/subscribe")
        at.sockets.append(socket)
        asked = {"type": "command", "ref": "r", "sessionId": session_id, "commandId": command_id}
        await socket.send_json({**asked, "command": "whisper", "payload": WHISPER})
        told = {"type": "commandState", "ref": "r", "commandId": command_id}
        assert await receive(socket) == {**told, "state": "requested"}
        assert (await bot.receive())["commandId"] == command_id
        await bot.answer(command_id, "accepted")
        await bot.answer(command_id, "failed", "no voice")
        assert await receive(socket) == {**told, "state": "accepted"}
        assert await receive(socket) == {**told, "state": "failed", "message": "no voice"}
        await socket.send_json({**asked, "command": "dance", "payload": {}, "commandId": "c9"})
        error = await receive(socket)
        assert (error["type"], error["code"], error["ref"]) == ("error", "not_accepted", "r")


async def test_a_watcher_is_told_what_the_bot_takes(gateway: Gateway) -> None:
    session_id = await gateway.create()
    socket = await gateway.client.ws_connect(f"{gateway.ws_url}/subscribe")
    gateway.sockets.append(socket)
    await socket.send_json({"type": "subscribe", "ref": "a", "sessionId": session_id})
    assert "commands" not in (await receive(socket))["session"]
    assert (await receive(socket))["type"] == "caughtUp"
    bot = await Bot.connect(gateway, session_id, "say", "end")
    assert (await receive(socket))["session"]["commands"] == ["say", "end"]
    await bot.socket.close()
    assert "commands" not in (await receive(socket))["session"]


async def test_a_session_without_commands_is_let_go_again(start_gateway: StartGateway) -> None:
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
