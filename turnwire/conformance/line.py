"""One connection of the client under test, as seen by the gateway that is played."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import WSMsgType, web

from turnwire.protocol.errors import CloseCode

Message = dict[str, Any]


class Line:
    """A WebSocket with JSON messages. The client's mistakes are added to `faults`."""

    def __init__(
        self, socket: web.WebSocketResponse[bool], transport: asyncio.Transport | None, faults: list[str]
    ) -> None:
        self.answered_pings = 0
        self._socket = socket
        self._transport = transport
        self._faults = faults

    async def send(self, message: Message) -> None:
        """Send a message. Do nothing once the connection is closed."""
        if not self._socket.closed:
            await self._socket.send_str(json.dumps(message, separators=(",", ":")))

    async def ping(self) -> None:
        await self._socket.ping(b"conformance")

    async def receive(self) -> Message | None:
        """Return the next message; None once the client has closed the connection."""
        while True:
            frame = await self._socket.receive()
            if frame.type is WSMsgType.PONG:
                self.answered_pings += 1
            elif frame.type is WSMsgType.PING:
                await self._socket.pong(frame.data)
            elif frame.type is WSMsgType.TEXT:
                message = self._decoded(frame.data)
                if message is not None:
                    return message
            elif frame.type is WSMsgType.BINARY:
                self._faults.append("sends binary frames though it did not ask for MessagePack")
                return None
            else:
                return None

    def _decoded(self, text: str) -> Message | None:
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            self._faults.append(f"sends something that is not a message: {text[:60]}")
            return None
        return message

    async def close(self, code: CloseCode) -> None:
        await self._socket.close(code=code, message=code.name.lower().encode())

    def abort(self) -> None:
        """Break the connection abruptly, as a network would."""
        if self._transport is not None:
            self._transport.abort()
