"""What others have done to a session, taken over from the store."""

from __future__ import annotations

from turnwire.gateway.live.advancing import advance, fence, tell
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.grace import adopt
from turnwire.gateway.live.items import FoundItem, RenewItem
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.rolling_back import Wanted, compare, make_sure
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import SessionNotFound
from turnwire.protocol.messages import Event
from turnwire.store.sessions import SessionRecord
from turnwire.store.waiting import persist


async def renew(context: Context, state: SessionState, item: RenewItem) -> None:
    """Know all that the store knows now."""
    if item.done is not None and item.done.done():
        return
    await refresh(context, state, item.done)
    if item.done is not None and not item.done.done():
        item.done.set_result(None)


def is_stale(context: Context, state: SessionState) -> bool:
    """Whether the session may have ended elsewhere so long ago that its time of grace is nearly over."""
    return context.shared_database and context.clock() - state.verified_at >= context.end_grace / 2


async def refresh(context: Context, state: SessionState, wanted: Wanted = None) -> None:
    """Take over all that the store knows more. Raises SessionNotFound."""
    began = context.clock()
    await make_sure(context, state, wanted)
    stored = await persist(lambda: context.store.sessions.load(state.session_id), wanted)
    if stored is None:
        raise SessionNotFound(state.session_id)
    await compare(context, state, stored, wanted)
    await learn(context, state, stored, wanted)
    state.verified_at = began


async def learn(context: Context, state: SessionState, stored: SessionRecord, wanted: Wanted = None) -> None:
    """Take over what the store knows more: a newer publisher elsewhere, events, an end."""
    amended = state.record.amended
    state.learn(stored, context.clock())
    if stored.epoch > state.record.epoch:
        fence(context, state, stored.epoch)
    if state.record.amended > amended:
        tell(context, state)
    await _read_on(context, state, wanted)
    if state.learn_commands(stored):
        tell(context, state)
    adopt(context, state, stored)


async def take(context: Context, state: SessionState, item: FoundItem) -> None:
    """Take over events that were read from the log.

    With a publisher here, or a gap before them, all is read on from the head: a newer publisher may have stored them.
    And so it is when there has been trouble since they were read: they may be of a log that is gone.
    """
    head = state.record.last_seq
    found = [event for event in item.events if event.seq > head]
    if not found:
        return
    in_doubt = {item.as_of, state.log.as_of} != {context.store.events.troubles}
    if in_doubt or state.publisher is not None or found[0].seq != head + 1:
        await _read_on(context, state, None)
        return
    _take(context, state, found)


async def _read_on(context: Context, state: SessionState, wanted: Wanted) -> None:
    """Take over the events that others have stored behind the head, and the epoch they may be of."""
    store, session_id = context.store, state.session_id
    while True:
        before = store.events.troubles
        found = await persist(lambda: store.events.head_after(session_id, state.record.last_seq), wanted)
        if await make_sure(context, state, wanted):  # else it was the end of another log
            break
    if not found:
        return
    state.log.as_of = min(before, state.log.as_of)  # it may have gone again since it was read
    stored = await persist(lambda: store.sessions.load(session_id), wanted)
    if stored is not None and stored.epoch > state.record.epoch:
        fence(context, state, stored.epoch)
    _take(context, state, found)


def _take(context: Context, state: SessionState, found: list[Event]) -> None:
    state.note_order(found)
    durable = Durable()
    durable.take(found)
    advance(context, state, durable)
