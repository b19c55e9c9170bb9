"""Sending one command to a MongoDB server without a driver, over a connection of its own."""

from __future__ import annotations

import asyncio
import struct
from typing import Any, Final

import bson
from bson.errors import BSONError

_OP_MSG: Final = 2013
_INTERNAL_ERROR: Final = 1


async def command(host: str, port: int, document: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    """Return the answer to a command such as `{"ping": 1, "$db": "admin"}`, or None if none comes in `seconds`."""
    body = b"\0" + bson.encode(document)
    message = struct.pack("<iiiiI", 20 + len(body), 1, 0, _OP_MSG, 0) + body
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(message)
                head = await reader.readexactly(16)
                reply = await reader.readexactly(struct.unpack("<i", head[:4])[0] - 16)
            finally:
                writer.close()
        return bson.decode(reply[5:])
    except (OSError, TimeoutError, EOFError, ValueError, BSONError):
        return None


async def is_broken(host: str, port: int, seconds: float) -> bool:
    """Return whether the server answers, but fails even at a query that matches nothing."""
    query = {"find": "nothing", "filter": {"_id": "nothing"}, "$db": "admin"}
    answer = await command(host, port, query, seconds)
    return answer is not None and answer.get("code") == _INTERNAL_ERROR
