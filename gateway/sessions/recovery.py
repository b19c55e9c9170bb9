"""A gateway's first work: the database is reached, then the sessions are opened that had not ended."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.protocol.errors import Overloaded, SessionNotFound, StorageUnavailable
from turnwire.store.mongo import Store
from turnwire.store.waiting import persist

_log = logging.getLogger("turnwire.sessions")
_RETRY_SECONDS = 0.5
_RECOVER_AT_ONCE = 8
_RECOVER_CHUNK = 1000


async def recover(store: Store, sessions: LiveSessions) -> None:
    """Reach the database, however long it takes, then open the sessions a gateway left behind: their lazy fields are
    brought up to date, and those whose publisher does not come back will end as abandoned."""
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
    left = await persist(store.sessions.unended)
    gate = asyncio.Semaphore(_RECOVER_AT_ONCE)

    async def open_again(session_id: str) -> None:
        async with gate:
            with suppress(SessionNotFound, Overloaded):
                await persist(lambda: sessions.open(session_id))

    for start in range(0, len(left), _RECOVER_CHUNK):
        await asyncio.gather(*(open_again(session_id) for session_id in left[start : start + _RECOVER_CHUNK]))
