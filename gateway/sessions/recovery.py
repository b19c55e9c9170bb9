"""A gateway's first work: reach the database, then look at the sessions that had not ended."""

from __future__ import annotations

import asyncio
import logging

from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.sessions.sweeping import Sweep
from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.mongo import Store
from turnwire.store.waiting import persist

_log = logging.getLogger("turnwire.sessions")
_RETRY_SECONDS = 0.5


async def recover(store: Store, sessions: LiveSessions, sweep: Sweep) -> None:
    """Wait until the database can be prepared, then look at the sessions that a gateway may have left behind."""
    had_to_wait = False
    while not sessions.prepared.is_set():
        try:
            await store.prepare()
            sessions.prepared.set()
        except StorageUnavailable:
            had_to_wait = True
            await asyncio.sleep(_RETRY_SECONDS)
    if had_to_wait:
        _log.info("the database has been reached")
    await persist(sweep.look)
