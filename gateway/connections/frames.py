"""WebSocket frames, made by hand where aiohttp would make them one by one."""

from __future__ import annotations

import struct


def server_frame(payload: bytes, *, text: bool) -> bytes:
    """A whole, unmasked WebSocket data frame (RFC 6455, section 5.2), ready for the transport."""
    first = 0x81 if text else 0x82
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", first, size) + payload
    if size < 65536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def is_utf8(data: bytes) -> bool:
    """Whether it may be the payload of a text frame."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
