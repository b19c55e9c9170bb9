"""Loads a session from the store, brought up to the head of its log."""

from __future__ import annotations

from datetime import datetime

from turnwire.gateway.live.log.durable import rise, times_of
from turnwire.protocol.errors import NoSuchSession
from turnwire.protocol.rules import status_after_event
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionRecord


async def load(store: Store, session_id: str, known: SessionRecord | None = None) -> tuple[SessionRecord, bool]:
    """Return the record with its lazy fields brought up to the head of the log, and whether they were behind.

    The part of the log that `known` covers is not read again. Raises NoSuchSession, StorageUnavailable.
    """
    record = await store.sessions.load(session_id)
    if record is None:
        raise NoSuchSession(session_id)
    if known is not None and known.life == record.life and known.last_seq > record.last_seq:
        record.last_seq, record.last_event_at = known.last_seq, known.last_event_at
        record.time_ordered &= known.time_ordered
    found = await store.events.head_after(session_id, record.last_seq, record.life)
    if found:
        record.time_ordered &= rise(record.last_event_at, times_of(found))
        record.last_seq = found[-1].seq
        record.last_event_at = datetime.fromisoformat(found[-1].timestamp)
    if record.last_seq:
        record.status = status_after_event(record.status)
    return record, bool(found)
