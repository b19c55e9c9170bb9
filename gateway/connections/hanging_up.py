"""The last step of closing a WebSocket: ending its transport without losing what was written."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

_LONGEST_POLL_SECONDS: Final = 0.05


async def hang_up(request: web.Request, *, broken: bool) -> None:
    """Close the transport once everything is written. Return when it is gone.

    `broken`: the other side may still send what nobody reads. Only this side's half is closed then.
    """
    transport = request.transport
    if transport is None:
        return
    if not broken:
        transport.close()
    elif transport.can_write_eof() and not transport.is_closing():
        transport.write_eof()
    pause = 0.0
    while request.transport is not None:
        await asyncio.sleep(pause)
        pause = min(_LONGEST_POLL_SECONDS, pause * 2 + 0.001)
