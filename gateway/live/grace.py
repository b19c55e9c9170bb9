"""The end of a session, and the grace time in which it still takes events."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.advancing import report_change
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import CloseCode
from turnwire.protocol.messages import FinalStatus
from turnwire.store.sessions import SessionRecord


def adopt_end(context: Context, state: SessionState, stored: SessionRecord) -> None:
    """Adopt the end of the stored session, if the session here has none."""
    if stored.ended_at is not None and not state.ended:
        status: FinalStatus = "completed" if stored.status == "completed" else "failed"
        note_end(context, state, status, stored.ended_at, stored.end_reason)


def note_end(
    context: Context, state: SessionState, status: FinalStatus, ended_at: datetime, reason: str | None
) -> None:
    """Note an end that is in the store, tell the publisher, and begin the grace time."""
    before = state.end(status, ended_at, reason)
    if state.publisher is not None:
        state.publisher.session_ended(state.session())
    begin_grace(state, ended_at, context.end_grace)
    report_change(context, state, before)


def begin_grace(state: SessionState, ended_at: datetime, seconds: float) -> None:
    """Stop taking events `seconds` after `ended_at`. The time that is left is measured on the loop's clock."""
    left = grace_left(ended_at, seconds)
    if left > 0:
        state.grace_timer = asyncio.get_running_loop().call_later(left, _grace_over, state)
    else:
        _grace_over(state)


def grace_left(ended_at: datetime, seconds: float) -> float:
    """Return how many of the grace time's `seconds` are left to a session that ended at this time."""
    passed = (utc_now() - ended_at) / timedelta(seconds=1)
    return min(seconds, seconds - passed)


def _grace_over(state: SessionState) -> None:
    state.grace_timer = None
    state.takes_events = False
    if state.publisher is not None:
        state.publisher.close(CloseCode.SESSION_ENDED, "the session has ended")


def forget_timer(state: SessionState) -> None:
    """Cancel the timer of the grace time, if it runs."""
    if state.grace_timer is not None:
        state.grace_timer.cancel()
