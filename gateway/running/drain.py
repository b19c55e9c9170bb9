"""Going away: settle what is in flight, tell everybody, close."""

from __future__ import annotations

import asyncio
import logging

from turnwire.gateway.sessions.live_sessions import Hub
from turnwire.protocol.errors import CloseCode

_log = logging.getLogger("turnwire.drain")
_CLOSING_SECONDS = 2.5
"""Kept of the whole time for the closing handshakes."""


async def drain(hub: Hub) -> None:
    """Say goaway, settle, write the lazy fields, close all with 1012. Takes at most `config.drain_timeout`.

    Frames that arrive from now on are not taken: they stay unacked, and their senders resume elsewhere.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + hub.config.drain_timeout
    hub.draining = True
    for connection in tuple(hub.connections):
        connection.goaway("restart")
    try:
        async with asyncio.timeout_at(deadline - min(_CLOSING_SECONDS, hub.config.drain_timeout / 2)):
            await hub.settle()
    except TimeoutError:
        _log.warning("not all could be settled in time; what is left stays unacked")
    for follower in tuple(hub.followers):
        follower.end()
    for connection in tuple(hub.connections):
        connection.close(CloseCode.RESTART, "the gateway restarts; reconnect and resume")
    closings = [connection.closing for connection in hub.connections if connection.closing is not None]
    if closings:
        await asyncio.wait(closings, timeout=max(0.0, deadline - loop.time()))
    for connection in tuple(hub.connections):
        connection.abort()
    await hub.stop()
