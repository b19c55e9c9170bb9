"""WebSocket clients for tests: a well-behaved one, and one made of bytes that does as it is told. All waits have
limits."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import msgspec
from aiohttp import WSMsgType
from yarl import URL

from tests.support.gateways import Gateway, new_event
from turnwire.protocol.codec import SUBPROTOCOL_MSGPACK

Json = Any
SECONDS = 20.0
"""Seconds that any wait may take."""
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds. Raises AssertionError after SECONDS, saying `what` did not happen."""
    try:
        async with asyncio.timeout(SECONDS):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"not within {SECONDS} s: {what}") from None


def publish_path(session_id: str, language: str | None = None) -> str:
    query = "" if language is None else f"?language={language}"
    return f"/sessions/{quote(session_id, safe='')}/publish{query}"


class Socket:
    """A WebSocket client of either subprotocol."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self.ws = ws
        self.binary = ws.protocol == SUBPROTOCOL_MSGPACK
        self.opened: Json = None
        """A publisher's first message."""

    @classmethod
    async def connect(cls, gateway: Gateway, path: str, *, protocols: Iterable[str] = (), **options: Any) -> Self:
        url = URL(gateway.url + path, encoded=True)
        ws = await gateway.client.ws_connect(url, protocols=protocols, **{"max_msg_size": 0, **options})
        gateway.sockets.append(ws)
        return cls(ws)

    async def send(self, *messages: Json) -> None:
        for message in messages:
            if self.binary:
                await self.ws.send_bytes(msgspec.msgpack.encode(message))
            else:
                await self.ws.send_str(json.dumps(message))

    async def receive(self) -> Json:
        """Return the next message. Raises AssertionError if the connection ends."""
        message = await self.ws.receive(timeout=SECONDS)
        assert message.type in (WSMsgType.TEXT, WSMsgType.BINARY), f"closed with {message.data} {message.extra}"
        return msgspec.msgpack.decode(message.data) if self.binary else json.loads(message.data)

    async def next(self, kind: str) -> Json:
        """Return the next message, which must be of this type."""
        message = await self.receive()
        assert message["type"] == kind, message
        return message

    async def next_of(self, kind: str) -> Json:
        """Return the next message of this type, skipping others before it."""
        while (message := await self.receive())["type"] != kind:
            pass
        return message

    async def ask(self, message: Json, kind: str) -> Json:
        """Send a message. Return the next one received, which must be of this type."""
        await self.send(message)
        return await self.next(kind)

    async def rest(self) -> tuple[list[Json], int]:
        """Return all messages until the connection is closed, and the close code."""
        messages: list[Json] = []
        while True:
            message = await self.ws.receive(timeout=SECONDS)
            if message.type is WSMsgType.CLOSE:
                return messages, int(message.data)
            assert message.type in (WSMsgType.TEXT, WSMsgType.BINARY), f"broken off: {message}"
            messages.append(msgspec.msgpack.decode(message.data) if self.binary else json.loads(message.data))

    async def close_code(self) -> int:
        """Return the close code. No message may come before it."""
        messages, code = await self.rest()
        assert messages == []
        return code

    async def close(self) -> None:
        await self.ws.close()

    # A publisher's

    async def append(self, *events: Json) -> None:
        """Send these events in a frame. A text stands for a plain event with that id."""
        await self.send({"type": "append", "events": [new_event(e) if isinstance(e, str) else e for e in events]})

    async def answers(self, count: int) -> list[Json]:
        """Return the next acks and nacks, as many as these events, each with its `type` added."""
        found: list[Json] = []
        while len(found) < count:
            message = await self.receive()
            assert message["type"] in ("ack", "nack"), message
            found += [{"type": message["type"], **each} for each in message[message["type"] + "s"]]
        assert len(found) == count, found
        return found

    async def acked(self, *events: Json) -> list[int]:
        """Append in a frame and wait for the acks. Return their seqs."""
        await self.append(*events)
        answers = await self.answers(len(events))
        ids = [event if isinstance(event, str) else event["eventId"] for event in events]
        assert [(each["type"], each.get("eventId")) for each in answers] == [("ack", each) for each in ids]
        return [each["seq"] for each in answers]

    # A subscriber's

    async def subscribe(self, session_id: str, after_seq: int | None = None, ref: str = "r") -> Json:
        """Subscribe, and return the answer `subscribed`."""
        command: Json = {"type": "subscribe", "ref": ref, "sessionId": session_id}
        if after_seq is not None:
            command["afterSeq"] = after_seq
        return await self.ask(command, "subscribed")

    async def events(self, up_to: int, after_seq: int = 0, ref: str = "r") -> list[Json]:
        """Return the events up to this seq, checking that they rise without a hole from `after_seq` on."""
        found: list[Json] = []
        while after_seq + len(found) < up_to:
            message = await self.next_of("events")
            assert message["ref"] == ref, message
            for event in message["events"]:
                assert event["seq"] == after_seq + len(found) + 1
                found.append(event)
        assert after_seq + len(found) == up_to
        return found


async def publisher(gateway: Gateway, session_id: str, *, language: str | None = "en", **options: Any) -> Socket:
    """Connect a publisher and read `opened`. With a language, an unknown session is created."""
    socket = await Socket.connect(gateway, publish_path(session_id, language), **options)
    socket.opened = await socket.next("opened")
    return socket


async def subscriber(gateway: Gateway, **options: Any) -> Socket:
    return await Socket.connect(gateway, "/subscribe", **options)


class RawSocket:
    """A WebSocket client made of bytes: it reads only when told to, and answers no ping and no close by itself."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._buffer = b""

    @classmethod
    async def connect(cls, gateway: Gateway, path: str, *, receive_buffer: int | None = None, **headers: str) -> Self:
        """`receive_buffer`: how many bytes the kernel takes in while we do not read."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        raw = cls(sock)
        await raw._loop.sock_connect(sock, ("127.0.0.1", gateway.port))
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await raw.write("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in raw._buffer:
            await raw._read_more()
        head, _, raw._buffer = raw._buffer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        return raw

    async def write(self, data: bytes) -> None:
        await asyncio.wait_for(self._loop.sock_sendall(self._sock, data), SECONDS)

    def write_at_once(self, data: bytes) -> None:
        """Write without giving the loop a turn, so that the gateway cannot have read it yet."""
        assert self._sock.send(data) == len(data)

    async def _read_more(self) -> None:
        data = await asyncio.wait_for(self._loop.sock_recv(self._sock, 1 << 18), SECONDS)
        if not data:
            raise ConnectionResetError("the gateway has hung up")
        self._buffer += data

    async def send(self, message: Json) -> None:
        await self.write(client_frame(json.dumps(message).encode()))

    async def frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame, which must be whole."""
        while (parsed := _parse(self._buffer)) is None:
            await self._read_more()
        opcode, payload, size = parsed
        self._buffer = self._buffer[size:]
        return opcode, payload

    async def receive(self) -> Json:
        """Return the next message. Pings are skipped and not answered."""
        while (frame := await self.frame())[0] == PING:
            pass
        assert frame[0] == TEXT, frame
        return json.loads(frame[1])

    async def close_code(self) -> int:
        """Return the code of the close frame, skipping what comes before it."""
        while (frame := await self.frame())[0] != CLOSE:
            pass
        return int.from_bytes(frame[1][:2])

    def close(self) -> None:
        self._sock.close()

    def abort(self) -> None:
        """Reset the connection."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()


def client_frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True) -> bytes:
    """Return a masked frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", fin << 7 | opcode, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", fin << 7 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", fin << 7 | opcode, 0x80 | 127, size)
    mask = os.urandom(4)
    padded = payload.ljust(-size % 4 + size, b"\0")
    masked = int.from_bytes(padded) ^ int.from_bytes(mask * (len(padded) // 4))
    return head + mask + masked.to_bytes(len(padded))[:size]


def _parse(data: bytes) -> tuple[int, bytes, int] | None:
    """Return opcode, payload and whole size of the frame that `data` begins with, if it is complete."""
    if len(data) < 2:
        return None
    size, start = data[1] & 0x7F, 2
    if size > 125:
        width = 2 if size == 126 else 8
        start += width
        if len(data) < start:
            return None
        size = int.from_bytes(data[2:start])
    return (data[0] & 0x0F, data[start : start + size], start + size) if len(data) >= start + size else None
