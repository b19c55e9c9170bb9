"""Cheap clients, so that the server is the limit: frames and requests are bytes prepared in advance."""

from __future__ import annotations

import asyncio
import struct
from base64 import b64encode
from collections.abc import Callable
from typing import Self, cast

_MASK = bytes.fromhex("37fa213d")
_KEY = b64encode(bytes(range(16))).decode()


def client_frame(payload: bytes) -> bytes:
    """Return a masked text frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x81, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x81, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x81, 0x80 | 127, size)
    mask = _MASK * (size // 4 + 1)
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(mask[:size], "big")
    return head + _MASK + masked.to_bytes(size, "big")


class Socket(asyncio.Protocol):
    """A WebSocket client. `on_frame` is called with the payload of each text frame."""

    def __init__(self, on_frame: Callable[[bytes], None]) -> None:
        self.on_frame = on_frame
        self.closed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """Resolves when the connection has ended, with the close code, or 1006 without one."""
        self._upgraded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._code = 1006

    @classmethod
    async def connect(
        cls, address: tuple[str, int], path: str, on_frame: Callable[[bytes], None], *, key: str = ""
    ) -> Self:
        """Connect, with an API key if one is given, and wait for the handshake. Raises ConnectionError if refused."""
        authorization = f"Authorization: Bearer {key}\r\n" if key else ""
        socket = cls(on_frame)
        await asyncio.get_running_loop().create_connection(lambda: socket, *address)
        socket.write(
            f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY}\r\n{authorization}\r\n".encode()
        )
        await socket._upgraded
        return socket

    def write(self, data: bytes) -> None:
        """Send the bytes of whole frames."""
        assert self._transport is not None, "not connected"
        self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._upgraded.done():
            self._upgraded.set_exception(ConnectionError("the connection ended before the upgrade"))
        if not self.closed.done():
            self.closed.set_result(self._code)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        if not self._upgraded.done():
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self._upgraded.set_exception(ConnectionError(head.decode()))
                return
            self._upgraded.set_result(None)
        self._rest = self._read_frames(data)

    def _read_frames(self, data: bytes) -> bytes:
        """Pass on all whole frames, and return the remaining bytes."""
        start, size = 0, len(data)
        while size - start >= 2:
            length = data[start + 1]
            body = start + 2
            if length == 126:
                body = start + 4
                length = int.from_bytes(data[start + 2 : body], "big")
            elif length == 127:
                body = start + 10
                length = int.from_bytes(data[start + 2 : body], "big")
            end = body + length
            if body > size or end > size:
                break
            kind = data[start] & 0x0F
            if kind == 1:
                self.on_frame(data[body:end])
            elif kind == 9:
                self.write(b"\x8a\x80" + _MASK)
            elif kind == 8:
                self._code = int.from_bytes(data[body : body + 2], "big")
                self.write(b"\x88\x80" + _MASK)
            start = end
        return data[start:]


class HttpConnection(asyncio.Protocol):
    """A keep-alive HTTP/1.1 connection with one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._received = b""

    @classmethod
    async def connect(cls, address: tuple[str, int]) -> Self:
        connection = cls()
        await asyncio.get_running_loop().create_connection(lambda: connection, *address)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the connection ended"))

    async def ask(self, request: bytes) -> bytes:
        """Send a request, and return the body of the answer. Raises ConnectionError unless the status is 2xx."""
        assert self._transport is not None, "not connected"
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or self._answer is None or self._answer.done():
            return
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        if lengths and len(body) < int(lengths[0][15:]):
            return
        self._received = b""
        if head[9:10] == b"2":
            self._answer.set_result(body)
        else:
            self._answer.set_exception(ConnectionError((head + end + body).decode()))


def http_request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
