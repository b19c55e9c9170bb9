"""Drains a gateway: tells clients, finishes what is in flight, and closes all connections."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress

from msgspec import Struct

from turnwire.gateway.connections.open_connections import OpenConnection, OpenConnections
from turnwire.gateway.sessions.lazy_fields import LazyFields
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.sessions.log_tails import LogTails
from turnwire.gateway.turns import MANY, some_in_each_pass
from turnwire.protocol.errors import CloseCode, StorageUnavailable
from turnwire.store.waiting import persist

_log = logging.getLogger("turnwire.drain")
_CLOSING_SECONDS = 2.5
"""The part of the time that is reserved for the closing handshakes. Connections that take longer are aborted."""
_SILENT_SECONDS = 1.5
"""How long a database that writes no lazy fields is waited for."""
_TAILS_SECONDS = 1.0
"""The share of the time that writing the tails of logs may take. Clients wait for it, and are then served sooner
elsewhere."""
_EARLY_SECONDS = 1.0
"""The share of the time that writing them, and the lazy fields, may take while clients still work."""
_POLL_SECONDS = 0.01
_AT_ONCE = 25
"""Connections that are told, or closed, in one pass of the loop."""
_REASON = "the gateway restarts; reconnect and resume"


class Return(Struct, frozen=True):
    """When clients are asked to reconnect, in seconds."""

    after: float
    spread: float
    """The first client reconnects after `after`, the last one this much later."""


async def drain(
    connections: OpenConnections,
    sessions: LiveSessions,
    lazy_fields: LazyFields,
    tails: LogTails,
    *,
    seconds: float,
    back: Return,
) -> None:
    """Send goaway, finish what is in flight, close all connections with 1012, and write the lazy fields meanwhile.

    Most of what other gateways would otherwise read from the logs is stored before that, while clients still work. All
    of it takes at most `seconds`. Frames that arrive after goaway are ignored: they stay unacked, and their senders
    resume elsewhere. Lazy fields that are not written in time are found in the log again. A client or a database that
    does not answer does not use up this time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    connections.leaving = True
    await _store_most(lazy_fields, tails, min(_EARLY_SECONDS, seconds / 4))
    connections.draining = True
    publishers = await _told(connections, back)
    try:
        async with asyncio.timeout_at(deadline - min(_CLOSING_SECONDS, seconds / 2)):
            await _close_settled(publishers)
            while publishers or await sessions.at_work():
                await asyncio.sleep(_POLL_SECONDS)
                await _close_settled(publishers)
            await tails.save(_TAILS_SECONDS)
    except TimeoutError:
        _log.warning("some events could not be stored in time; they stay unacked")
    writing = loop.create_task(_write_out(lazy_fields))
    async for follower in some_in_each_pass(tuple(connections.followers), _AT_ONCE):
        follower.end()
    async for connection in some_in_each_pass(tuple(connections.connections), _AT_ONCE):
        connection.close(CloseCode.RESTART, _REASON)
    with suppress(TimeoutError):  # the rest is aborted
        async with asyncio.timeout_at(min(deadline, loop.time() + _CLOSING_SECONDS)):
            while await _any_closing(connections):
                await asyncio.sleep(_POLL_SECONDS)
    async for connection in some_in_each_pass(tuple(connections.connections), _AT_ONCE):
        connection.abort()
    if not await _is_done(writing, lazy_fields, deadline):
        writing.cancel()
        await asyncio.wait([writing])
        _log.info("sessions whose documents are behind their logs: %d; the next start reads the rest", len(lazy_fields))


async def _told(connections: OpenConnections, back: Return) -> deque[OpenConnection]:
    """Send goaway to all clients. Return the publishers."""
    leaving, publishers = tuple(connections.connections), deque[OpenConnection]()
    after, step = back.after, back.spread / max(1, len(leaving))
    async for connection in some_in_each_pass(leaving, _AT_ONCE):
        connection.goaway("restart", after)
        after += step
        if connection.kind == "publisher":
            publishers.append(connection)
    return publishers


async def _close_settled(publishers: deque[OpenConnection]) -> None:
    """Close publishers to whom nothing is owed: each goes on elsewhere without waiting for the others. Keep the rest.

    Those that are closed are not kept: to free thousands of them together takes a tenth of a second.
    """
    async for _ in some_in_each_pass(range(len(publishers)), _AT_ONCE):
        publisher = publishers.popleft()
        if publisher.is_owed:
            publishers.append(publisher)
        else:
            publisher.close(CloseCode.RESTART, _REASON)


async def _any_closing(connections: OpenConnections) -> bool:
    """Return whether any closing handshake is under way."""
    async for connection in some_in_each_pass(tuple(connections.connections), MANY):
        if connection.closing is not None and not connection.closing.done():
            return True
    return False


async def _store_most(lazy_fields: LazyFields, tails: LogTails, seconds: float) -> None:
    with suppress(TimeoutError, StorageUnavailable):  # the rest is stored after goaway, or read from the logs
        async with asyncio.timeout(seconds):
            await tails.save(seconds)
            await lazy_fields.flush()


async def _is_done(writing: asyncio.Task[None], lazy_fields: LazyFields, deadline: float) -> bool:
    """Wait until all is written, but no longer than the database goes on writing. Return whether all is written."""
    loop = asyncio.get_running_loop()
    written = -1
    while not writing.done() and written < lazy_fields.bulks and loop.time() < deadline:
        written = lazy_fields.bulks
        await asyncio.wait([writing], timeout=min(_SILENT_SECONDS, deadline - loop.time()))
    return writing.done()


async def _write_out(lazy_fields: LazyFields) -> None:
    while lazy_fields:
        await persist(lazy_fields.flush)
