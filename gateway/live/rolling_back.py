"""A log that has lost its end: the database was put back to an older copy, or has acked without keeping."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Any

from turnwire.gateway.live.context import Context
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import CloseCode, SessionNotFound
from turnwire.protocol.messages import Event
from turnwire.store.mongo import Store
from turnwire.store.waiting import persist

_log = logging.getLogger("turnwire.session")


async def make_sure(context: Context, state: SessionState, wanted: asyncio.Future[Any] | None = None) -> bool:
    """After trouble with the storage: whether the head is still in the log. If it is not, the log is gone on with from
    where it ends. Costs nothing otherwise."""
    events, head = context.store.events, state.head
    troubles = events.troubles
    if state.log.as_of == troubles:
        return True
    if head is not None and not await persist(lambda: events.stands(state.session_id, head), wanted):
        await roll_back(context, state)
        return False
    state.log.as_of = troubles
    return True


async def roll_back(context: Context, state: SessionState) -> None:
    """Go on from what is there, without a hole. Those who watch and have seen more must start again, and so must a
    publisher whose claim is gone. Raises SessionNotFound when the session is gone."""
    session_id, known, troubles = state.session_id, state.record.last_seq, context.store.events.troubles
    last = await persist(lambda: find_end(context.store, session_id, known))
    stored = await persist(lambda: context.store.sessions.load(session_id))
    if stored is None:
        raise SessionNotFound(session_id)
    publisher = state.roll_back(last, stored, troubles)
    if publisher is not None:
        publisher.close(CloseCode.TRY_LATER, "the database was put back to an older copy; reconnect")
    if state.audience is not None:  # if another event stands there now, nobody knows since when they differ
        state.audience.rolled_back(state.record.last_seq if state.record.last_seq < known else 0)
    context.observer.rolled_back(state)


async def find_end(store: Store, session_id: str, known: int) -> Event | None:
    """The last event of a log that does not go to `known`, loudly. What stands beside the log and says more is put
    right: the stored lastSeq, and digests of events that are gone. May be done twice. Raises StorageUnavailable."""
    last = await store.events.head_until(session_id, known)
    seq = 0 if last is None else last.seq
    _log.error(
        "session %r: the log holds seq=%d, and not what was acked up to seq=%d: the database has lost what it had confirmed",
        session_id,
        seq,
        known,
    )
    await store.events.digests.forget_after(session_id, seq, known)
    stored = await store.sessions.load(session_id)
    if stored is not None and stored.last_seq > seq and not await store.events.holds(session_id, stored.last_seq):
        at = None if last is None else datetime.fromisoformat(last.timestamp)
        await store.sessions.put_back(session_id, stored.last_seq, seq, at)
    return last
