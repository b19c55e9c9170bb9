"""A publisher's claim to a session: the epoch that fences the one before it, and the first message it gets."""

from __future__ import annotations

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.catching_up import learn, read_on
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.items import ClaimItem
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import CloseCode, SessionNotFound
from turnwire.protocol.messages import Opened, OpenedLimits
from turnwire.protocol.times import format_time
from turnwire.store.waiting import persist


async def claim(context: Context, state: SessionState, item: ClaimItem) -> None:
    """Give the session to a new publisher; the one before it is fenced from the moment the epoch is raised.

    A session that takes no more events is not given away: its publisher is told and closed.
    """
    if item.done.done():
        return
    claimed = item.created and state.record.epoch == 1 and state.publisher is None
    if state.takes_events and not claimed:
        await _raise_epoch(context, state, item)
    if state.takes_events:
        _seat(context, state, item)
    else:
        item.publisher.close(CloseCode.SESSION_ENDED, "the session has ended")
    await _know_last_event(context, state)
    state.last_active = context.clock()
    if item.done.done():
        unseat(state, item)
    else:
        item.done.set_result(_opened(context, state))


def _seat(context: Context, state: SessionState, item: ClaimItem) -> None:
    older, state.publisher = state.publisher, item.publisher
    item.publisher.epoch = state.record.epoch
    if older is not None:
        older.superseded()
        context.observer.taken_over()


def unseat(state: SessionState, item: ClaimItem) -> None:
    """Nobody waits for the claim any more."""
    if state.publisher is item.publisher:
        state.publisher = None


async def _raise_epoch(context: Context, state: SessionState, item: ClaimItem) -> None:
    """Raises StorageUnavailable once nobody waits for the claim any more."""
    record, sessions = state.record, context.store.sessions
    fresh = record.epoch == 0 and record.last_seq == 0
    claimed = -1
    while claimed != record.epoch:
        while not await persist(lambda: sessions.claim(record), wanted=item.done):
            stored = await persist(lambda: sessions.load(state.session_id), wanted=item.done)
            if stored is None:
                raise SessionNotFound(state.session_id)
            await learn(context, state, stored)
            fresh = False
        state.claim(record.epoch + 1)
        context.observer.claimed(state)
        claimed = record.epoch
        if not fresh:  # another gateway may have written before this epoch began, or claimed the session since
            await read_on(context, state)


async def _know_last_event(context: Context, state: SessionState) -> None:
    last = state.record.last_seq
    if state.last_event_id is None and last:
        found = await persist(lambda: context.store.events.read(state.session_id, last, last))
        state.last_event_id = found[0].event_id


def _opened(context: Context, state: SessionState) -> Opened:
    limits = context.limits
    return Opened(
        session=state.session(),
        epoch=state.record.epoch,
        last_seq=state.record.last_seq,
        last_event_id=state.last_event_id,
        limits=OpenedLimits(limits.in_flight, limits.event_bytes, limits.frame_bytes, limits.batch_events),
        server_time=format_time(utc_now()),
    )
