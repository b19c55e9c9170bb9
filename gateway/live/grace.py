"""That a session has ended, and the time of grace in which it still takes events."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.advancing import changed
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import CloseCode
from turnwire.protocol.messages import FinalStatus
from turnwire.store.sessions import SessionRecord


def adopt(context: Context, state: SessionState, stored: SessionRecord) -> None:
    """Take over an end that stands in the store."""
    if stored.ended_at is not None and not state.ended:
        status: FinalStatus = "completed" if stored.status == "completed" else "failed"
        ended(context, state, status, stored.ended_at, stored.end_reason)


def ended(context: Context, state: SessionState, status: FinalStatus, ended_at: datetime, reason: str | None) -> None:
    """The session has ended, in the store: the time of grace begins."""
    before = state.end(status, ended_at, reason)
    if state.publisher is not None:
        state.publisher.session_ended(state.session())
    begin_grace(state, ended_at, context.end_grace)
    changed(context, state, before)


def begin_grace(state: SessionState, ended_at: datetime, seconds: float) -> None:
    """Take events until so many seconds after the end. What is left of them is measured on the loop's clock."""
    passed = (utc_now() - ended_at) / timedelta(seconds=1)
    left = min(seconds, seconds - passed)
    if left > 0:
        state.grace_timer = asyncio.get_running_loop().call_later(left, _grace_over, state)
    else:
        _grace_over(state)


def _grace_over(state: SessionState) -> None:
    state.grace_timer = None
    state.takes_events = False
    if state.publisher is not None:
        state.publisher.close(CloseCode.SESSION_ENDED, "the session has ended")


def forget_timer(state: SessionState) -> None:
    """Nothing more happens to the session by itself."""
    if state.grace_timer is not None:
        state.grace_timer.cancel()
