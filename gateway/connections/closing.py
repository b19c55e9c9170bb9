"""The last step of a connection: its transport is closed, but not before everything is written."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from turnwire.gateway.connections.outbox import FrameOutbox

CLOSE_SECONDS = 2.0
"""How long each step of closing may take: sending the last frames, and waiting for the other side's close frame."""
_LONGEST_POLL_SECONDS = 0.05
_MAX_REASON_BYTES = 120


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


def close_reason(reason: str) -> bytes:
    """Return the reason, cut to what a close frame has room for."""
    return reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore").encode()


def begin_closing(steps: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
    """Return a task that takes these steps. Its error is not reported."""
    task = asyncio.get_running_loop().create_task(steps)
    task.add_done_callback(_retrieve)
    return task


def closed(outbox: FrameOutbox) -> asyncio.Future[None]:
    """Close the outbox of a connection whose transport is gone. Return its closing, which is done: nobody is left to
    say goodbye to."""
    outbox.close()
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


def _retrieve(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
