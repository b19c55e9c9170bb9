"""A gateway's first work: the database is reached, then the sessions are looked at that had not ended."""

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
    """Reach the database, however long it takes, then look at the sessions a gateway may have left behind."""
    told = False
    while not sessions.prepared.is_set():
        try:
            await store.prepare()
            sessions.prepared.set()
        except StorageUnavailable:
            told = True
            await asyncio.sleep(_RETRY_SECONDS)
    if told:
        _log.info("the database has been reached")
    await persist(sweep.look)
