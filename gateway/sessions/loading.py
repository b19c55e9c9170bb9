"""Loads a session from the store, brought up to the head of its log."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from turnwire.gateway.live.log.durable import rise, times_of
from turnwire.gateway.live.rolling_back import find_end
from turnwire.protocol.errors import NoSuchSession
from turnwire.protocol.messages import Event
from turnwire.protocol.rules import status_after_event
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionRecord


class Loaded(Struct, frozen=True):
    """A record with its lazy fields brought up to the head of the log."""

    record: SessionRecord
    stored_seq: int
    """The stored lastSeq."""
    lagged: bool
    """Whether the stored fields were behind."""
    rolled_back: bool = False
    """Whether the stored fields were ahead, because the log has lost its end."""


async def load(store: Store, session_id: str, known: SessionRecord | None = None) -> Loaded:
    """Load the session. What is `known` of the log is not read again. Raises NoSuchSession, StorageUnavailable."""
    record = await store.sessions.load(session_id)
    if record is None:
        raise NoSuchSession(session_id)
    stored_seq = record.last_seq
    if known is not None and known.life == record.life and known.last_seq >= record.last_seq:
        record.last_seq, record.last_event_at = known.last_seq, known.last_event_at
        record.time_ordered &= known.time_ordered
        found: list[Event] | None = await store.events.head_after(session_id, record.last_seq, record.life)
    else:
        found = await _behind_the_stored_head(store, record)
    if found:
        record.time_ordered &= rise(record.last_event_at, times_of(found))
        _move(record, found[-1])
    if record.last_seq:
        record.status = status_after_event(record.status)
    return Loaded(record, stored_seq, bool(found), rolled_back=found is None)


async def _behind_the_stored_head(store: Store, record: SessionRecord) -> list[Event] | None:
    """Return the events after the stored lastSeq. Return None if the log turns out to end earlier; the record is then
    corrected.

    One query answers both questions. An empty position must not be overlooked: it would be a hole in the log once the
    next one is taken.
    """
    session_id, seq = record.session_id, record.last_seq
    if not seq or (record.archive is not None and record.archive.events == seq):  # archived logs lose no end
        return await store.events.head_after(session_id, 0, record.life)
    found = await store.events.head_after(session_id, seq - 1, record.life, width=2)
    if found:
        _move(record, found[0])
        return found[1:]
    if await store.events.holds(session_id, seq):
        return await store.events.head_after(session_id, seq, record.life)
    _move(record, await find_end(store, session_id, seq))
    return None


def _move(record: SessionRecord, last: Event | None) -> None:
    """Move the record's head to this event, the last one of the log."""
    record.last_seq = 0 if last is None else last.seq
    record.last_event_at = None if last is None else datetime.fromisoformat(last.timestamp)
