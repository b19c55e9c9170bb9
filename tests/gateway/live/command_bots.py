"""Bots that accept commands, and clients that ask for them, for tests of commands."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from tests.support.gateways import Gateway

Json = dict[str, Any]
WHISPER = {"text": "offer a discount"}


class Bot:
    """A bot on its own socket. It answers when the test tells it to."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[Any]) -> None:
        self.socket = socket

    @classmethod
    async def connect(cls, gateway: Gateway, session_id: str, *accepted: str) -> Bot:
        """Connect, read `opened`, and accept these commands. The gateway knows of them when this returns."""
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
    """Return (state, commandId) of each event about a command, in the order of the log."""
    events = (await gateway.get(f"/sessions/{session_id}/events"))["events"]
    payloads = [event["payload"] for event in events if event["payload"].get("event", "").startswith("control.")]
    return [(payload["event"].removeprefix("control."), payload["commandId"]) for payload in payloads]


async def until_controls(gateway: Gateway, session_id: str, *expected: tuple[str, str]) -> None:
    async with asyncio.timeout(10):
        while await controls(gateway, session_id) != list(expected):
            await asyncio.sleep(0.02)


async def until_controls_include(gateway: Gateway, session_id: str, expected: tuple[str, str]) -> None:
    async with asyncio.timeout(10):
        while True:
            page = await gateway.get(f"/sessions/{session_id}?limit=10&order=desc")
            found = [(e["payload"].get("event", "control.")[8:], e["payload"].get("commandId")) for e in page["events"]]
            if expected in found:
                return
            await asyncio.sleep(0.02)
