"""Who ends a session: its publisher, a REST client, or time. It ends once, by whoever is first in the store."""

from __future__ import annotations

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.catching_up import learn, read_on
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.conversing import final_figures
from turnwire.gateway.live.grace import ended
from turnwire.gateway.live.items import EndItem
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import SessionNotFound
from turnwire.protocol.messages import FinalStatus
from turnwire.store.waiting import persist


async def end(context: Context, state: SessionState, item: EndItem) -> None:
    """End the session as its publisher or a REST client asks; a session that has ended stays as it is."""
    if state.is_fenced(item.publisher):
        return
    ended_now = False if state.ended else await _end(context, state, item.status, item.reason)
    if item.publisher is not None:
        item.publisher.completed(state.session())
    elif state.publisher is None and context.shared_database:  # its publisher may have been at another gateway
        await read_on(context, state)
    if item.done is not None and not item.done.done():
        item.done.set_result((state.session(), ended_now))


async def abandon(context: Context, state: SessionState) -> None:
    """End the session as failed, unless somebody turns out to be there: here, or at another gateway."""
    if not is_abandoned(context, state):
        return
    known = (state.record.epoch, state.record.heartbeat)
    stored = await context.store.sessions.load(state.session_id)
    if stored is not None:
        await learn(context, state, stored)
    if stored is None or (stored.epoch, stored.heartbeat) != known:
        state.last_active = context.clock()
    elif is_abandoned(context, state):
        await _end(context, state, "failed", "abandoned", epoch=stored.epoch, heartbeat=stored.heartbeat)


def is_abandoned(context: Context, state: SessionState) -> bool:
    """Whether the session's publisher has left, and neither it nor an event has been here for so long."""
    return state.deserted and context.clock() - state.last_active >= context.abandon_after


async def _end(
    context: Context, state: SessionState, status: FinalStatus, reason: str | None, **unchanged: object
) -> bool:
    """End it in the store, once. Returns whether this end is the one that stands."""
    sessions = context.store.sessions
    state.keep_figures(await final_figures(context, state))
    ended_at = utc_now()
    if await persist(lambda: sessions.end(state.record, status, ended_at, reason, **unchanged)):
        ended(context, state, status, ended_at, reason)
        context.observer.written(state)
        if context.figures and state.record.figures is None:
            context.observer.unread(state)
        return True
    stored = await persist(lambda: sessions.load(state.session_id))
    if stored is None:
        raise SessionNotFound(state.session_id)
    await learn(context, state, stored)
    return stored.ended_at == ended_at
