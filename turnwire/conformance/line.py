"""One connection of the client under test, as seen by the gateway that is played."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from turnwire.protocol.codec import SUBPROTOCOL_MSGPACK
from turnwire.protocol.errors import CloseCode

Message = dict[str, Any]


class ClientSocket:
    """A WebSocket with JSON, or with MessagePack if the client asked for it. Its mistakes are added to `faults`."""

    def __init__(
        self, socket: web.WebSocketResponse[bool], transport: asyncio.Transport | None, faults: list[str]
    ) -> None:
        self.answered_pings = 0
        self._socket = socket
        self._packs = socket.ws_protocol == SUBPROTOCOL_MSGPACK
        self._transport = transport
        self._faults = faults

    async def send(self, message: Message) -> None:
        """Send a message. Do nothing once the connection is closed."""
        if self._socket.closed:
            return
        if self._packs:
            await self._socket.send_bytes(msgspec.msgpack.encode(message))
        else:
            await self._socket.send_str(json.dumps(message, separators=(",", ":"), ensure_ascii=False))

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
            elif frame.type is (WSMsgType.BINARY if self._packs else WSMsgType.TEXT):
                message = self._decoded(frame.data)
                if message is not None:
                    return message
            elif frame.type is WSMsgType.BINARY:
                self._faults.append("sends binary frames though it did not ask for MessagePack")
                return None
            elif frame.type is WSMsgType.TEXT:
                self._faults.append("sends text frames though it asked for MessagePack")
                return None
            else:
                return None

    def _decoded(self, data: str | bytes) -> Message | None:
        try:
            message = msgspec.msgpack.decode(data) if isinstance(data, bytes) else json.loads(data)
        except ValueError:
            message = None
        if isinstance(message, dict) and isinstance(message.get("type"), str):
            return message
        shape = "an array in place of a map" if isinstance(message, list) else "something that is not a message"
        self._faults.append(f"sends {shape}: {data[:60]!r}")
        return None

    async def close(self, code: CloseCode) -> None:
        await self._socket.close(code=code, message=code.name.lower().encode())

    def abort(self) -> None:
        """Break the connection abruptly, as a network would."""
        if self._transport is not None:
            self._transport.abort()
