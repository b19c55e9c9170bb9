"""Drains a gateway: tells clients, finishes what is in flight, and closes all connections."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import TypeVar

from msgspec import Struct

from turnwire.gateway.connections.open_connections import OpenConnection, OpenConnections
from turnwire.gateway.sessions.lazy_fields import LazyFields
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.sessions.log_tails import LogTails
from turnwire.protocol.errors import CloseCode, StorageUnavailable
from turnwire.store.waiting import persist

T = TypeVar("T")

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
            while publishers or sessions.at_work:
                await asyncio.sleep(_POLL_SECONDS)
                await _close_settled(publishers)
            await tails.save(_TAILS_SECONDS)
    except TimeoutError:
        _log.warning("some events could not be stored in time; they stay unacked")
    writing = loop.create_task(_write_out(lazy_fields))
    async for _, follower in _a_few_at_a_time(tuple(connections.followers)):
        follower.end()
    async for _, connection in _a_few_at_a_time(tuple(connections.connections)):
        connection.close(CloseCode.RESTART, _REASON)
    with suppress(TimeoutError):  # the rest is aborted
        async with asyncio.timeout_at(min(deadline, loop.time() + _CLOSING_SECONDS)):
            while any(map(_is_closing, connections.connections)):
                await asyncio.sleep(_POLL_SECONDS)
    async for _, connection in _a_few_at_a_time(tuple(connections.connections)):
        connection.abort()
    if not await _is_done(writing, lazy_fields, deadline):
        writing.cancel()
        await asyncio.wait([writing])
        _log.info("sessions whose documents are behind their logs: %d; the next start reads the rest", len(lazy_fields))


async def _told(connections: OpenConnections, back: Return) -> deque[OpenConnection]:
    """Send goaway to all clients. Return the publishers."""
    leaving = tuple(connections.connections)
    async for place, connection in _a_few_at_a_time(leaving):
        connection.goaway("restart", back.after + back.spread * place / len(leaving))
    return deque(connection for connection in leaving if connection.kind == "publisher")


async def _a_few_at_a_time(all_of_them: Sequence[T]) -> AsyncIterator[tuple[int, T]]:
    """Yield these with their places, _AT_ONCE in each pass of the loop: it still serves events and their acks."""
    for place, each in enumerate(all_of_them):
        if place % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
        yield place, each


async def _close_settled(publishers: deque[OpenConnection]) -> None:
    """Close publishers to whom nothing is owed: each goes on elsewhere without waiting for the others. Keep the rest.

    Those that are closed are not kept: to free thousands of them together takes a tenth of a second.
    """
    async for _ in _a_few_at_a_time(range(len(publishers))):
        publisher = publishers.popleft()
        if publisher.is_owed:
            publishers.append(publisher)
        else:
            publisher.close(CloseCode.RESTART, _REASON)


def _is_closing(connection: OpenConnection) -> bool:
    return connection.closing is not None and not connection.closing.done()


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
