"""Handles a log that has lost events at its end: the database was restored from a backup, or lost what it confirmed."""

from __future__ import annotations

import logging

from turnwire.gateway.live.context import Context
from turnwire.gateway.live.state import SessionState
from turnwire.store.waiting import persist

_log = logging.getLogger("turnwire.session")


async def roll_back(context: Context, state: SessionState) -> None:
    """Continue from the last event in the log, without a hole. Watchers that have seen more must start again. Raises
    SessionErased."""
    await persist(lambda: context.store.sessions.reload(state.record))  # it may have been erased with its log
    session_id, known = state.session_id, state.record.last_seq
    last = await persist(lambda: context.store.events.head_until(session_id, known))
    _log.error(
        "session %r: the log ends at seq=%d, although seq=%d was acked: the database has lost what it had confirmed",
        session_id,
        0 if last is None else last.seq,
        known,
    )
    state.roll_back(last)
    if state.audience is not None:
        state.audience.rolled_back(state.record.last_seq)
    context.observer.rolled_back(state)
