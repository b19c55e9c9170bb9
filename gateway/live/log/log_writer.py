"""Reads a live session's eventIds from its log, and writes new events to it. Called by the session's task alone."""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Awaitable, Callable, Mapping

from turnwire.gateway.live.log.durable import Durable, admitted_times, rise, time_of
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import LogRolledBack, Overloaded
from turnwire.protocol.messages import Event, EventIn
from turnwire.protocol.rules import Ledger, same_event
from turnwire.protocol.times import format_time, to_millis
from turnwire.store.digests import MIN_TAIL
from turnwire.store.event_documents import Mark
from turnwire.store.event_log import READ_WINDOW, RefusedDocument, event_documents
from turnwire.store.mongo import Store
from turnwire.store.waiting import persist

_log = logging.getLogger("turnwire.session")
_INVISIBLE_SECONDS = 0.01


async def load_ledger(store: Store, state: SessionState) -> Ledger:
    """Return the session's ledger, read from the log if necessary: full pages as digests, the rest event by event."""
    if state.log.ledger is not None:
        return state.log.ledger
    session_id, head, life = state.session_id, state.record.last_seq, state.record.life
    ledger, times = Ledger(), array("q")
    for ids, _ in await persist(lambda: store.events.digests.load(session_id, head, life)):
        ledger.add_digests(ids)
        await asyncio.sleep(0)  # a page takes a fifth of a millisecond, and a long log has a thousand
    await _learn_tail(store, state, ledger, times)
    while ledger.head < head:
        first, last = ledger.head + 1, min(ledger.head + READ_WINDOW, head)
        for seq, event_id, timestamp in await persist(
            lambda first=first, last=last: store.events.read_ids(session_id, first, last)  # type: ignore[misc]
        ):
            ledger.learn(seq, event_id)
            times.append(to_millis(timestamp))
        if ledger.head < last:
            raise RuntimeError(f"the log has a hole at seq={ledger.head + 1}, head={head}")
    state.log.loaded(ledger, times)
    return ledger


async def _learn_tail(store: Store, state: SessionState, ledger: Ledger, times: array[int]) -> None:
    """Learn what a gateway that has left knew about the events after the digests, if the log still holds the last of
    them."""
    session_id, record = state.session_id, state.record
    if record.last_seq - ledger.head < MIN_TAIL:
        return
    tail = await persist(lambda: store.events.digests.load_tail(session_id, record.life))
    if tail is None or tail.first != ledger.head + 1 or not ledger.head < tail.last <= record.last_seq:
        return
    [(_, event_id, timestamp)] = await persist(lambda: store.events.read_ids(session_id, tail.last, tail.last))
    if (event_id, to_millis(timestamp)) != (tail.ids[-1], tail.times[-1]):
        return
    for seq, known in enumerate(tail.ids, tail.first):
        ledger.learn(seq, known)
    times.extend(tail.times)


async def read_stored(store: Store, session_id: str, seqs: set[int]) -> dict[int, Event]:
    """Return the events at these positions, by seq."""
    if not seqs:
        return {}
    return {event.seq: event for event in await persist(lambda: store.events.read_at(session_id, seqs))}


async def commit(
    store: Store,
    state: SessionState,
    ledger: Ledger,
    weight: int,
    clock: Callable[[], float],
    *,
    lost: Callable[[], Awaitable[None]],
    behind_head: bool = False,
) -> Durable:
    """Write the ledger's pending events to the log; `weight` is their size in bytes.

    If a newer publisher has stored events meanwhile, drop the remaining pending events; `Durable.record` then has the
    newer epoch. With `behind_head`, drop them if anybody has stored events. `lost` is called each time that another
    gateway has taken the next position first. Raises LogRolledBack if the head is no longer in the log, and Overloaded
    if too much waits for it already; the rest of the events is dropped then.
    """
    durable = Durable()
    unsure = False
    while pending := list(ledger.pending()):
        last = time_of(durable.last[1]) if durable.events else state.record.last_event_at
        if not rise(last, admitted_times(pending)):
            await _note_disorder(store, state)
        documents = event_documents(state.session_id, pending, state.record.life)
        try:
            head = _head(state, durable)
            appended = await store.events.append(state.session_id, documents, weight, as_of=state.log.as_of, head=head)
        except RefusedDocument as error:
            _log.error("session %r: %s", state.session_id, error)
            _note_stored(ledger, durable, pending[: error.stored])
            refused = pending[error.index][1].event_id
            durable.refused[refused] = error.reason
            ledger.drop_pending(refused)
            continue
        except Overloaded:
            ledger.forget_pending()  # else the next round would store them, too, and answer with their positions
            if durable.events:
                state.log.forget()  # the head has not moved over these: the next round finds them in the log
            raise
        state.log.as_of = appended.as_of
        stored = appended.stored
        if stored == len(pending):
            ledger.learn_pending()
            durable.events += pending
            break
        _note_stored(ledger, durable, pending[:stored])
        unsure |= appended.unsure
        await lost()
        if await _read_taken(store, state, ledger, durable, dict(pending[stored:]) if unsure else {}):
            unsure = False
        if durable.record is not None:
            state.learn(durable.record, clock())
        superseded = durable.record is not None and durable.record.epoch > state.record.epoch
        if superseded or (behind_head and durable.foreign):
            ledger.forget_pending()
            break
    return durable


def _head(state: SessionState, durable: Durable) -> Mark | None:
    """Return the last event that is known to be in the log."""
    if not durable.events:
        return state.head
    seq, event = durable.last
    return Mark(seq, time_of(event), event.event_id)


def _note_stored(ledger: Ledger, durable: Durable, stored: list[tuple[int, EventIn]]) -> None:
    """Record that these events, the first pending ones, are durable."""
    for seq, event in stored:
        ledger.learn(seq, event.event_id)
    durable.events += stored


async def _read_taken(
    store: Store, state: SessionState, ledger: Ledger, durable: Durable, tried: Mapping[int, EventIn]
) -> bool:
    """Read the event at the next position, which is taken, and the session's state. Return False if, after trouble, the
    position is free again.

    `tried` are our events that may have been stored there without our knowledge. Raises LogRolledBack if the head is no
    longer in the log, because what follows it then belongs to another log.
    """
    session_id, life, head = state.session_id, state.record.life, _head(state, durable)
    before = store.events.troubles
    width = min(READ_WINDOW, 1 + len(durable.foreign))  # a gateway that was that far behind will be again
    while not (found := await persist(lambda: store.events.head_after(session_id, ledger.head, life, width))):
        if store.events.troubles != state.log.as_of or not await _is_taken(store, state, ledger.head + 1):
            return False
        await asyncio.sleep(_INVISIBLE_SECONDS)  # the position is taken, but its event is not yet on a majority
    if store.events.troubles != state.log.as_of:
        if head is not None and not await persist(lambda: store.events.stands(session_id, head)):
            raise LogRolledBack(session_id, head.seq)
        state.log.as_of = before
    for event in found:
        ledger.learn(event.seq, event.event_id)
        if not _is_stored_from(event, tried.get(event.seq)):
            durable.foreign[event.event_id] = event
    durable.add_found(found)
    durable.record = await persist(lambda: store.sessions.reload(state.record))
    return True


async def _is_taken(store: Store, state: SessionState, seq: int) -> bool:
    """Return whether an event of this session holds the position, although it cannot be read yet.

    Remove an event that was stored too late for an erased session of the same id. Raises SessionErased if this session
    itself has been erased.
    """
    session_id, record = state.session_id, state.record
    stray = await persist(lambda: store.events.stray_at(session_id, seq, record.life))
    await persist(lambda: store.sessions.reload(record))  # read last, so that a stray is of no later session
    if stray is None:
        return await persist(lambda: store.events.holds(session_id, seq))
    await persist(lambda: store.events.remove_stray(session_id, stray))
    return False


async def _note_disorder(store: Store, state: SessionState) -> None:
    """Mark the stored session as out of time order, before an event is stored that is older than its predecessor."""
    troubles = store.events.troubles
    if state.record.time_ordered or state.log.disordered_as_of != troubles:  # else the mark may have been lost since
        state.disorder(troubles)
        await persist(lambda: store.sessions.mark_time_disordered(state.record))


def _is_stored_from(found: Event, tried: EventIn | None) -> bool:
    """Return whether the event found is the one that this gateway tried to store."""
    if tried is None or found.event_id != tried.event_id:
        return False
    return same_event(found, tried) and found.timestamp == format_time(time_of(tried))
