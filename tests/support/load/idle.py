"""Thousands of WebSocket connections that do nothing but answer pings, at next to no cost."""

from __future__ import annotations

import asyncio
from typing import cast
from urllib.parse import urlsplit

_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_PING = b"\x89\x00"
_PONG = b"\x8a\x80\x00\x00\x00\x00"


class _Idle(asyncio.Protocol):
    """One connection. What comes besides pings is thrown away; no text of the gateway's holds a ping's two bytes."""

    def __init__(self, handshake: bytes) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pings = 0
        self.lost = False
        self.transport: asyncio.Transport | None = None
        self._handshake = handshake
        self._last = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # the event loop in use has its own class
        self.transport.write(self._handshake)

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            if data.startswith(b"HTTP/1.1 101 "):
                self.opened.set_result(None)
            else:
                self.opened.set_exception(ConnectionError(data[:300].decode(errors="replace")))
        for _ in range((self._last + data).count(_PING)):
            self.pings += 1
            if self.transport is not None:
                self.transport.write(_PONG)
        self._last = data[-1:] if data[-1:] == _PING[:1] else b""

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("closed before it was open"))


class IdleCrowd:
    """Make connections to these paths of a gateway at `url`."""

    def __init__(self, url: str, paths: list[str]) -> None:
        self._address = urlsplit(url)
        self._paths = paths
        self._connections: list[_Idle] = []

    async def connect(self, at_once: int = 100) -> None:
        """Open all connections, this many at once. Raises ConnectionError if one is refused."""
        for start in range(0, len(self._paths), at_once):
            await asyncio.gather(*(self._connect_one(path) for path in self._paths[start : start + at_once]))

    async def _connect_one(self, path: str) -> None:
        host, port = self._address.hostname or "", self._address.port or 80
        handshake = _HANDSHAKE.format(path=path, host=f"{host}:{port}").encode()
        _, connection = await asyncio.get_running_loop().create_connection(lambda: _Idle(handshake), host, port)
        self._connections.append(connection)
        await connection.opened

    @property
    def lost(self) -> int:
        """How many connections have been closed."""
        return sum(connection.lost for connection in self._connections)

    @property
    def fewest_pings(self) -> int:
        """The least number of pings that any connection has answered."""
        return min(connection.pings for connection in self._connections)

    def close(self) -> None:
        for connection in self._connections:
            if connection.transport is not None:
                connection.transport.abort()
