"""A publisher's claim to a session: the epoch that fences the one before it, and the first message it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.inbox import Claim
from turnwire.protocol.errors import CloseCode, SessionNotFound
from turnwire.protocol.messages import Opened, OpenedLimits
from turnwire.protocol.times import format_time
from turnwire.store.waiting import persist

if TYPE_CHECKING:
    from turnwire.gateway.live.live_session import LiveSession


async def claim(live: LiveSession, item: Claim) -> None:
    """Give the session to a new publisher; the one before it is fenced from the moment the epoch is raised.

    Part of the session's task. One that takes no more events is not given away: its publisher is told and closed.
    """
    if item.done.done():
        return
    claimed = item.created and live.record.epoch == 1 and live.publisher is None
    if live.end.takes_events and not claimed:
        await _raise_epoch(live, item)
    if live.end.takes_events:
        older, live.publisher = live.publisher, item.publisher
        item.publisher.epoch = live.record.epoch
        if older is not None:
            older.superseded()
            live.hub.metrics.takeover()
    else:
        item.publisher.close(CloseCode.SESSION_ENDED, "the session has ended")
    await _know_last_event(live)
    live.last_active = live.hub.clock()
    if item.done.done():
        live.release(item.publisher)
    else:
        item.done.set_result(_opened(live))


async def _raise_epoch(live: LiveSession, item: Claim) -> None:
    """Raises StorageUnavailable once nobody waits for the claim any more."""
    record, store = live.record, live.hub.store
    fresh = record.epoch == 0 and record.last_seq == 0
    claimed = -1
    while claimed != record.epoch:
        while not await persist(lambda: store.sessions.claim(record), wanted=item.done):
            stored = await persist(lambda: store.sessions.load(live.session_id), wanted=item.done)
            if stored is None:
                raise SessionNotFound(live.session_id)
            await live.renew(stored)
            fresh = False
        record.epoch += 1
        claimed = record.epoch
        if not fresh:  # another gateway may have written before this epoch began, or claimed the session since
            await live.read_on()


async def _know_last_event(live: LiveSession) -> None:
    last = live.record.last_seq
    if live.last_event_id is None and last:
        found = await persist(lambda: live.hub.store.events.read(live.session_id, last, last))
        live.last_event_id = found[0].event_id


def _opened(live: LiveSession) -> Opened:
    limits = live.hub.limits
    return Opened(
        session=live.session(),
        epoch=live.record.epoch,
        last_seq=live.record.last_seq,
        last_event_id=live.last_event_id,
        limits=OpenedLimits(
            limits.in_flight,
            limits.event_bytes,
            limits.frame_bytes,
            limits.batch_events,
            round(live.hub.config.ping_interval * 1000),
            limits.depth,
        ),
        server_time=format_time(utc_now()),
    )
