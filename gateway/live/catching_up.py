"""What others have done to a session, taken over from the store."""

from __future__ import annotations

from turnwire.gateway.live.advancing import advance, fence, tell
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.durable import Durable
from turnwire.gateway.live.grace import adopt
from turnwire.gateway.live.items import RenewItem
from turnwire.gateway.live.state import SessionState
from turnwire.store.sessions import SessionRecord
from turnwire.store.waiting import persist


async def renew(context: Context, state: SessionState, item: RenewItem) -> None:
    """Know at least as much as the item says is stored."""
    await learn(context, state, item.stored)
    if item.done is not None and not item.done.done():
        item.done.set_result(None)


async def learn(context: Context, state: SessionState, stored: SessionRecord) -> None:
    """Take over what the store knows more: a newer publisher elsewhere, events, an end."""
    if stored.epoch > state.record.epoch:
        fence(context, state, stored.epoch)
    amended = state.record.amended
    state.learn(stored)
    if state.record.amended > amended:
        tell(context, state)
    await read_on(context, state)
    adopt(context, state, stored)


async def read_on(context: Context, state: SessionState) -> None:
    """Take over the events that others have stored behind the head, and the epoch they may be of."""
    store = context.store
    found = await persist(lambda: store.events.head_after(state.session_id, state.record.last_seq))
    if not found:
        return
    stored = await persist(lambda: store.sessions.load(state.session_id))
    if stored is not None and stored.epoch > state.record.epoch:
        fence(context, state, stored.epoch)
    state.note_order(found)
    durable = Durable()
    durable.take(found)
    advance(context, state, durable)
