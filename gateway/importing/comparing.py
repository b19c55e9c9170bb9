"""Compares a past call with the session that is stored under the same id."""

from __future__ import annotations

from collections.abc import Sequence

from turnwire.gateway.importing.past_call import PastCall
from turnwire.protocol.messages import Event, EventIn, Session
from turnwire.protocol.rules import has_ended, same_event, same_object
from turnwire.protocol.times import format_time


class Differs(Exception):
    """The stored session is not this call. The text names the difference."""


def check_begin(session: Session, call: PastCall) -> None:
    """Raise Differs unless the session has the fields of the call, apart from its end."""
    pairs = (
        ("startedAt", session.started_at, format_time(call.started_at)),
        ("language", session.language, call.language),
    )
    for name, stored, given in pairs:
        if stored != given:
            raise Differs(f"its {name} is {stored}, and that of the line is {given}")
    if not same_object(session.metadata, call.metadata):
        raise Differs("its metadata is not that of the line")
    if has_ended(session.status) and not call.ends and not call.restored:
        raise Differs(f"it has ended ({session.status}), and the line has not")


def check_end(session: Session, call: PastCall) -> None:
    """Raise Differs unless the session has ended as the call did, or neither has ended. All events must have been seen.

    A call that was open when its backup was made may have ended since.
    """
    if call.restored and not call.ends:
        return
    if has_ended(session.status) != call.ends:
        raise Differs("it has not ended" if call.ends else "it has ended")
    if not call.ends:
        return
    triples = (
        ("status", session.status, call.status),
        ("endedAt", session.ended_at, format_time(call.end)),
        ("endReason", session.end_reason, call.end_reason),
    )
    for name, stored, given in triples:
        if stored != given:
            raise Differs(f"its {name} is {stored}, and that of the line is {given}")


def check_length(session: Session, call: PastCall, count: int) -> None:
    """Raise Differs if the log continues after the call's `count` events, unless it may have grown since the backup."""
    may_go_on = call.restored and (has_ended(session.status) or not call.ends)
    if session.last_seq > count and not may_go_on:
        raise Differs(f"it has {session.last_seq} events, and the line has {count}")


def check_events(stored: Sequence[Event], given: Sequence[EventIn]) -> None:
    """Raise Differs unless both hold the same events at the same positions."""
    for event, wanted in zip(stored, given, strict=True):
        if event.event_id != wanted.event_id:
            raise Differs(f"its event {event.seq} is {event.event_id!r}, and that of the line is {wanted.event_id!r}")
        if not same_event(event, wanted):
            raise Differs(f"its event {event.seq}, {event.event_id!r}, has another type or payload")
        if wanted.timestamp is not None and event.timestamp != format_time(wanted.timestamp):
            raise Differs(f"its event {event.seq}, {event.event_id!r}, has another timestamp")
