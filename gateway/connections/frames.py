"""WebSocket frames: encoded once to be sent to many sockets, and as they arrive."""

from __future__ import annotations

import asyncio
import struct
from typing import Any, Final, Protocol

from aiohttp import WSMsgType

_PING: Final = b"\x89\x00"


class Received(Protocol):
    """A message that has arrived on a WebSocket."""

    @property
    def type(self) -> WSMsgType: ...
    @property
    def data(self) -> Any: ...


def server_frame(payload: bytes, *, text: bool) -> bytes:
    """Return a complete, unmasked WebSocket data frame (RFC 6455, section 5.2), ready for the transport."""
    first = 0x81 if text else 0x82
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", first, size) + payload
    if size < 65536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def is_utf8(data: bytes) -> bool:
    """Return whether the bytes are valid UTF-8, as a text frame must be."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def send_ping(transport: asyncio.WriteTransport | None) -> None:
    """Write an empty ping, if the connection is still there."""
    if transport is not None and not transport.is_closing():
        transport.write(_PING)
