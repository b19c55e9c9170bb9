"""Asking for a command: what is accepted and refused, and what a repeat and a subscriber get."""

from __future__ import annotations

import pytest

from tests.gateway.live.command_bots import WHISPER, Bot, Json, ask, controls, receive, until_accepted, until_controls
from tests.support.gateways import Gateway, StartGateway


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
async def test_an_invalid_payload_of_a_standard_command_is_refused(
    gateway: Gateway, command: str, payload: Json
) -> None:
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
async def test_a_command_over_a_limit_is_refused(gateway: Gateway, wrong: Json) -> None:
    session_id = await gateway.create()
    body = {"commandId": "c1", "command": "transfer", "payload": {}, **wrong}
    await gateway.refused("POST", f"/sessions/{session_id}/commands", 400, json=body)


async def test_other_commands_pass_to_bots_that_accept_them(gateway: Gateway) -> None:
    session_id = await gateway.create()
    bot = await Bot.connect(gateway, session_id, "transfer")
    await ask(gateway, session_id, "c1", "transfer", payload={"to": "+49"})
    assert (await bot.receive())["payload"] == {"to": "+49"}


async def test_a_command_that_no_connected_bot_accepts_is_refused(gateway: Gateway) -> None:
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


async def test_an_ended_session_refuses_new_commands_and_still_answers_for_old_ones(gateway: Gateway) -> None:
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


async def test_a_command_to_an_unknown_session_is_not_found(gateway: Gateway) -> None:
    body = {"commandId": "c1", "command": "whisper", "payload": WHISPER}
    assert (await gateway.refused("POST", "/sessions/none/commands", 404, json=body))["code"] == "not_found"


async def test_a_subscriber_that_sends_a_command_gets_each_of_its_states(
    gateway: Gateway, start_gateway: StartGateway
) -> None:
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


async def test_a_subscriber_learns_which_commands_the_bot_accepts(gateway: Gateway) -> None:
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
