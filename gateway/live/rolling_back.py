"""Handles a log that has lost events at its end, because the database was restored from a backup or lost what it
confirmed."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Any

from turnwire.gateway.live.context import Context
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import CloseCode
from turnwire.protocol.messages import Event
from turnwire.protocol.rules import has_ended
from turnwire.store.event_documents import Mark
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionRecord
from turnwire.store.waiting import persist

Wanted = asyncio.Future[Any] | None
"""The answer that somebody waits for. Once it is done, nobody waits for the work any more: errors of the storage are
raised instead of being retried."""
_log = logging.getLogger("turnwire.session")


async def make_sure(context: Context, state: SessionState, wanted: Wanted = None) -> bool:
    """After trouble with the storage, return whether the head is still in the log. If it is not, continue the log from
    its present end. Costs nothing without trouble."""
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
    """Continue the log from its present end, without a hole. Watchers that have seen more must start again, and so must
    a publisher whose claim is gone. Raises SessionErased."""
    await persist(lambda: context.store.sessions.reload(state.record))  # the session may have been erased with its log
    known, troubles = state.record.last_seq, context.store.events.troubles
    last = await persist(lambda: find_end(context.store, state.session_id, known))
    await _take_back(context, state, last, troubles)
    if state.audience is not None:  # if it holds another event now, nobody knows from where on the logs differ
        state.audience.rolled_back(state.record.last_seq if state.record.last_seq < known else 0)
    context.observer.rolled_back(state)


async def compare(context: Context, state: SessionState, stored: SessionRecord, wanted: Wanted = None) -> None:
    """Check that the stored session has the claim and the end that are known here. If one is missing, and `stored` is
    not just old news, it is gone: adopt the session as stored. Costs nothing otherwise."""
    if not _lacks(stored, state):
        return
    troubles = context.store.events.troubles
    certain = await persist(lambda: context.store.sessions.load_for_certain(state.session_id), wanted)
    if certain is not None and not _lacks(certain, state):
        return
    _log.error("session %r: a claim or an end is gone: the database was restored from an older copy", state.session_id)
    head = state.head
    found = [] if head is None else await persist(lambda: _standing(context.store, state.session_id, head), wanted)
    if head is None or found:
        await _take_back(context, state, found[0] if found else None, troubles)
    else:
        await roll_back(context, state)


async def _standing(store: Store, session_id: str, mark: Mark) -> list[Event]:
    """Return the event if it is still there."""
    found = await store.events.read_present(session_id, [mark.seq])
    return found if await store.events.stands(session_id, mark) else []


def _lacks(stored: SessionRecord, state: SessionState) -> bool:
    return stored.epoch < state.record.epoch or (state.ended and not has_ended(stored.status))


async def _take_back(context: Context, state: SessionState, last: Event | None, as_of: int) -> None:
    stored = await persist(lambda: context.store.sessions.reload(state.record))
    publisher = state.roll_back(last, stored, as_of)
    if publisher is not None:
        publisher.close(CloseCode.TRY_LATER, "the database was restored from an older copy; reconnect")


async def find_end(store: Store, session_id: str, known: int) -> Event | None:
    """Return the last event of a log that does not reach `known`, and log the loss. Correct what is stored beside the
    log and claims more: the stored lastSeq, and digests of lost events. Safe to repeat. Raises StorageUnavailable."""
    last = await store.events.head_until(session_id, known)
    seq = 0 if last is None else last.seq
    _log.error(
        "session %r: the log ends at seq=%d, but seq=%d was acked: the database has lost events that it confirmed",
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
