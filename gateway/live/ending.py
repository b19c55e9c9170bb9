"""Ends a session, for its publisher, a REST client or a timeout. The first end in the store stands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import uuid4

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.catching_up import learn, refresh
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.conversing import final_figures
from turnwire.gateway.live.grace import note_end
from turnwire.gateway.live.items import AbandonItem, EndItem, is_answered, resolve
from turnwire.gateway.live.rolling_back import Wanted
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import FinalStatus
from turnwire.store.waiting import persist

_NOTHING: Mapping[str, object] = {}


async def end(context: Context, state: SessionState, item: EndItem) -> None:
    """End the session for its publisher or a REST client. A session that has already ended stays as it is."""
    if state.is_fenced(item.publisher) or is_answered(item.done):
        return
    if context.shared_database:  # the session may have continued or ended at another gateway
        await refresh(context, state, item.done)
        if state.is_fenced(item.publisher):
            return
    if item.condition is not None and not state.ended:
        await item.condition(state.record)
    ended_now = (
        False if state.ended else await _end(context, state, item.status, item.reason, item.done, at=item.ended_at)
    )
    if item.publisher is not None:
        item.publisher.completed(state.session())
    resolve(item.done, (state.session(), ended_now))


async def abandon(context: Context, state: SessionState, item: AbandonItem) -> None:
    """End the session as failed, unless a publisher or an event turns up, here or at another gateway."""
    if not is_over(context, state, item.reason):
        return
    try:
        stored = await context.store.sessions.reload(state.record)
    except StorageUnavailable:  # other gateways could not show a sign of life either, so the wait starts again
        state.last_active = context.clock()
        raise
    await learn(context, state, stored)
    if is_over(context, state, item.reason):
        unchanged: dict[str, object] = {}
        if item.reason == "abandoned":
            unchanged = {"epoch": stored.epoch, "heartbeat": stored.heartbeat}
        await _end(context, state, "failed", item.reason, unchanged=unchanged)


def is_over(context: Context, state: SessionState, reason: Literal["abandoned", "expired"]) -> bool:
    """Return whether the session is over by the rule that `reason` names.

    `abandoned`: its publisher has left, and no sign of one was seen for `abandon_after`. `expired`: no event was seen
    for `expire_after`, with or without a publisher.
    """
    now = context.clock()
    if reason == "abandoned":
        return state.deserted and now - state.last_active >= context.abandon_after
    return not state.ended and 0 < context.expire_after <= now - state.last_event_seen


async def _end(
    context: Context,
    state: SessionState,
    status: FinalStatus,
    reason: str | None,
    wanted: Wanted = None,
    *,
    at: datetime | None = None,
    unchanged: Mapping[str, object] = _NOTHING,
) -> bool:
    """End the session in the store, provided the stored fields in `unchanged` have these values.

    `at`: when a past call ended; None stands for now.

    Return whether this end stands. Raises NoSuchSession.
    """
    sessions = context.store.sessions
    state.keep_figures(await final_figures(context, state))
    now, by = utc_now(), uuid4().hex
    ended_at, imported_at = at or now, None if at is None else now
    if await persist(
        lambda: sessions.end(state.record, status, ended_at, reason, by, imported_at=imported_at, **unchanged), wanted
    ):
        note_end(context, state, status, ended_at, reason)
        context.observer.ended(state)
        context.observer.written(state)
        if context.figures and state.record.figures is None:
            context.observer.unread(state)
        return True
    stored = await persist(lambda: sessions.reload(state.record), wanted)
    await learn(context, state, stored)
    return False
