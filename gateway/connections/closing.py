"""The last step of a connection: its transport is closed, but not before everything is written."""

from __future__ import annotations

import asyncio

from aiohttp import web

_LONGEST_POLL_SECONDS = 0.05


async def hang_up(request: web.Request, *, broken: bool) -> None:
    """Close the transport once everything is written. Return when it is gone.

    `broken`: something was received that is not read any more. Only our direction is closed then: closing both would
    reset the connection, and the other side would lose what it has not read yet.
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


def retrieve(task: asyncio.Task[None]) -> None:
    """Take the error of a task that has ended, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()
