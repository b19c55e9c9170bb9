"""Handles a publisher's claim to a session: the epoch that fences its predecessor, and the first message it gets."""

from __future__ import annotations

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.advancing import report_amendment
from turnwire.gateway.live.catching_up import refresh
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.items import ClaimItem
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import CloseCode, SessionTaken
from turnwire.protocol.messages import Opened, OpenedLimits
from turnwire.protocol.times import format_time
from turnwire.store.waiting import persist


async def claim(context: Context, state: SessionState, item: ClaimItem) -> None:
    """Give the session to a new publisher. Its predecessor is fenced from the moment the epoch is raised.

    If the session takes no more events, the new publisher is closed instead. Raises SessionTaken when a publisher with
    another credential has the session, and StorageUnavailable once nobody waits for the claim.
    """
    if item.done.done():
        return
    before = state.record.commands
    created = item.created and state.record.epoch == 1 and state.publisher is None
    epoch = state.record.epoch if created else await _raise_epoch(context, state, item)
    if item.done.done():
        return
    if epoch == state.record.epoch and state.takes_events:
        _seat(context, state, item)
    elif epoch is None or not state.takes_events:
        item.publisher.close(CloseCode.SESSION_ENDED, "the session has ended")
    else:
        item.publisher.superseded()  # another gateway's claim came in between
    await _know_last_event(context, state, item)
    state.last_active = context.clock()
    if before != state.record.commands:
        report_amendment(context, state, ours=False)  # the other gateways are told of the claim itself
    if item.done.done():
        unseat(state, item)
    else:
        item.done.set_result(_opened(context, state, state.record.epoch if epoch is None else epoch))


def holder_of(context: Context, state: SessionState) -> str | None:
    """Return who holds the session: the publisher here, or one at another gateway as far as the store knows."""
    if state.publisher is not None:
        return state.publisher.holder
    return state.record.holder if context.shared_database and not state.ended else None


async def _raise_epoch(context: Context, state: SessionState, item: ClaimItem) -> int | None:
    """Claim the next epoch in the store and return it; None if the session takes no more events or nobody waits."""
    sessions = context.store.sessions
    if context.shared_database:
        await refresh(context, state, item.done)
    publisher = item.publisher
    new = publisher.holder if context.shared_database else None  # otherwise memory knows; a crash must leave no trace
    while state.takes_events and not item.done.done():
        holder = holder_of(context, state)
        if holder is not None and not publisher.may_take_from(holder):
            raise SessionTaken(state.session_id)
        if await persist(lambda: sessions.claim(state.record, new, item.traceparent), item.done):
            state.claim(state.record.epoch + 1, new, item.traceparent)
            publisher.took_over(holder)
            context.observer.claimed(state)
            claimed = state.record.epoch
            if context.shared_database:  # another gateway may have stored events before this epoch began
                await refresh(context, state, item.done)
            return claimed
        await refresh(context, state, item.done)  # another gateway has claimed or ended the session
    return None


def _seat(context: Context, state: SessionState, item: ClaimItem) -> None:
    older, state.publisher = state.publisher, item.publisher
    item.publisher.epoch = state.record.epoch
    if older is not None:
        older.superseded()
        context.observer.taken_over()


def unseat(state: SessionState, item: ClaimItem) -> None:
    """Take the session back from a publisher that did not wait for its claim."""
    if state.publisher is item.publisher:
        state.publisher = None


async def _know_last_event(context: Context, state: SessionState, item: ClaimItem) -> None:
    last = state.record.last_seq
    if state.last_event_id is None and last:
        found = await persist(lambda: context.store.events.read(state.session_id, last, last), item.done)
        state.last_event_id = found[0].event_id


def _opened(context: Context, state: SessionState, epoch: int) -> Opened:
    limits = context.limits
    return Opened(
        session=state.session(),
        epoch=epoch,  # a newer epoch may have been claimed elsewhere by now
        last_seq=state.record.last_seq,
        last_event_id=state.last_event_id,
        limits=OpenedLimits(
            limits.in_flight,
            limits.event_bytes,
            limits.frame_bytes,
            limits.batch_events,
            round(context.ping_interval * 1000),
            limits.depth,
            limits.receive_bytes,
        ),
        server_time=format_time(utc_now()),
    )
