"""Brings a session up to date with what other gateways have stored."""

from __future__ import annotations

import asyncio

from turnwire.gateway.live.advancing import advance, fence, report_amendment
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.grace import adopt_end
from turnwire.gateway.live.items import FoundItem, RenewItem, is_answered, resolve
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.rolling_back import Wanted, compare, make_sure
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.messages import Event
from turnwire.store.sessions import SessionRecord
from turnwire.store.waiting import persist

_BUSY_LOOK_SECONDS = 0.5
"""Seconds between two reads of a session whose commits take most of the time."""
_LOOK_SECONDS = 0.02
"""Seconds between two looks at the next position while it is left to another gateway."""


async def renew(context: Context, state: SessionState, item: RenewItem) -> None:
    """Read the session from the store, and answer the item when the session here is up to date."""
    if is_answered(item.done):
        return
    await refresh(context, state, item.done)
    resolve(item.done, None)


def is_stale(context: Context, state: SessionState) -> bool:
    """Return whether the store must be asked before new events are accepted.

    True once the last check is half a grace time ago: the session may have ended at another gateway since. Also true
    much sooner if commits take most of the time: another gateway may then lose every race for the next position.
    """
    if not context.shared_database:
        return False
    elapsed = context.clock() - state.verified_at
    busy = elapsed >= _BUSY_LOOK_SECONDS and state.commit_seconds >= _BUSY_LOOK_SECONDS / 2
    return busy or elapsed >= context.end_grace / 2


async def refresh(context: Context, state: SessionState, wanted: Wanted = None) -> None:
    """Read the session from the store and take over what is new there. Raises SessionErased."""
    began = context.clock()
    await make_sure(context, state, wanted)
    stored = await persist(lambda: context.store.sessions.reload(state.record), wanted)
    await compare(context, state, stored, wanted)
    await learn(context, state, stored, wanted)
    state.verified(began)


async def verify(context: Context, state: SessionState) -> None:
    """Adopt what the store knows beyond memory. Costs one read if there is nothing new. Raises SessionErased."""
    began = context.clock()
    stored = await persist(lambda: context.store.sessions.reload(state.record))
    if state.is_behind(stored):
        await learn(context, state, stored)
    state.verified(began)


async def learn(context: Context, state: SessionState, stored: SessionRecord, wanted: Wanted = None) -> None:
    """Take over what is new in this stored session: a newer publisher elsewhere, amendments, events, an end."""
    amended = state.record.amended
    state.learn(stored, context.clock())
    if stored.epoch > state.record.epoch:
        fence(context, state, stored.epoch)
    if state.record.amended > amended:
        report_amendment(context, state, ours=False)
    await _catch_up(context, state, wanted)
    if state.learn_commands(stored):
        report_amendment(context, state, ours=False)
    adopt_end(context, state, stored)


async def give_way(context: Context, state: SessionState) -> None:
    """Leave the next position to another gateway until that gateway has taken it, or until `way_until`."""
    while context.clock() < state.way_until:
        await _catch_up(context, state)
        if state.way_until:
            await asyncio.sleep(_LOOK_SECONDS)
    state.let_in()


async def adopt_found(context: Context, state: SessionState, item: FoundItem) -> None:
    """Adopt events that another gateway has stored.

    If a publisher is here, or events before these are missing, read everything from the head on: a newer publisher may
    have stored them. The same holds if there has been trouble since they were read, because their log may be gone.
    """
    head = state.record.last_seq
    found = [event for event in item.events if event.seq > head]
    if not found:
        return
    in_doubt = {item.as_of, state.log.as_of} != {context.store.events.troubles}
    if in_doubt or state.publisher is not None or found[0].seq != head + 1:
        await _catch_up(context, state)
        return
    _adopt(context, state, found)


async def _catch_up(context: Context, state: SessionState, wanted: Wanted = None) -> None:
    """Adopt the events that others have stored after the head, and the epoch of their publisher."""
    events, sessions = context.store.events, context.store.sessions
    while True:
        record, before = state.record, events.troubles
        found = await persist(lambda: events.head_after(record.session_id, record.last_seq, record.life), wanted)  # noqa: B023 -- awaited at once
        if await make_sure(context, state, wanted):  # else the events were the end of another log
            break
    if not found:
        return
    state.log.as_of = min(before, state.log.as_of)  # the head may have been lost again since it was read
    stored = await persist(lambda: sessions.reload(record), wanted)
    if stored.epoch > state.record.epoch:
        fence(context, state, stored.epoch)
    _adopt(context, state, found)


def _adopt(context: Context, state: SessionState, found: list[Event]) -> None:
    state.note_order(found)
    durable = Durable()
    durable.add_found(found)
    advance(context, state, durable)
    state.let_in()
