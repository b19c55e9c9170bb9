"""A past call to be stored: the checked fields of its line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import ErrorCode, InvalidMessage, MalformedEvent, TooLarge
from turnwire.protocol.messages import BadEvent, EventIn, JsonObject, Limits, SessionStatus
from turnwire.protocol.paging import language_fault
from turnwire.protocol.past_calls.lines import PastSession
from turnwire.protocol.past_calls.times import past_time
from turnwire.protocol.rules import check_id, check_new_session_id, checked_metadata, has_ended

IMPORTED = "imported"
"""The end reason of a call that never ended."""


class PastCall(Struct):
    """A past call. If its end has no time, it ended with its last event."""

    session_id: str
    language: str
    metadata: JsonObject
    started_at: datetime
    status: SessionStatus
    ended_at: datetime | None
    end_reason: str | None
    latest: datetime
    """The start, or the latest time of an event seen so far."""
    restored: bool = False
    """Whether the call comes from a backup. It was stored as it is, and may have continued since."""
    importing: bool = False
    """Whether this is an open call of a backup that was made before the import of the call had stored its end."""
    deserted: bool = False
    """Whether this is an open call of a backup that a publisher had claimed. The publisher is gone now."""

    @property
    def ends(self) -> bool:
        return has_ended(self.status)

    @property
    def end(self) -> datetime:
        """When the call ended. Known once all events have been seen."""
        return self.ended_at or self.latest

    def saw(self, events: Iterable[EventIn]) -> None:
        """Record the times of the next events."""
        self.latest = max(self.latest, *(each.timestamp for each in events if each.timestamp is not None))


def read_call(head: bytes, limits: Limits, now: datetime, *, keep_open: bool, restored: bool = False) -> PastCall:
    """Read a call from the fields of its line. A call that never ended becomes failed, unless `keep_open` is set.

    A `restored` call may have ended before it started, because the clocks of two machines may have said so. Raises
    InvalidJson, InvalidMessage, TooLarge.
    """
    line = JSON.decode_body(head, PastSession, limits)
    check_new_session_id(line.session_id, limits)
    fault = language_fault(line.language)
    if fault is not None:
        raise InvalidMessage(fault)
    metadata = checked_metadata(line.metadata, limits)
    if line.end_reason is not None:
        check_id(line.end_reason, "endReason", limits)
    started_at = past_time(line.started_at, "startedAt", now)
    ended_at = None if line.ended_at is None else past_time(line.ended_at, "endedAt", now)
    status = line.status or ("active" if ended_at is None else "completed")
    _check_end(status, ended_at, line.end_reason)
    if ended_at is not None and ended_at < started_at and not restored:
        raise InvalidMessage("endedAt must not be before startedAt")
    reason = line.end_reason
    if not has_ended(status) and not keep_open:
        status, reason = "failed", IMPORTED
    times = (started_at, status, ended_at, reason, started_at)
    marks = (restored, restored and line.importing, restored and line.published and not has_ended(status))
    return PastCall(line.session_id, line.language, metadata, *times, *marks)


def _check_end(status: SessionStatus, ended_at: datetime | None, reason: str | None) -> None:
    if not has_ended(status) and (ended_at is not None or reason is not None):
        name = "endReason" if ended_at is None else "endedAt"
        raise InvalidMessage(f"{name} needs the status completed or failed, not {status}")


def read_events(texts: Sequence[bytes], first: int, limits: Limits, now: datetime) -> list[EventIn]:
    """Read a batch of events. `first` is the index of its first event in the line.

    Raises MalformedEvent or TooLarge, naming the index, for an event that cannot be stored.
    """
    events = []
    for at, text in enumerate(texts, first):
        event = JSON.decode_new_event(text, limits)
        if isinstance(event, BadEvent):
            kind = TooLarge if event.code is ErrorCode.TOO_LARGE else MalformedEvent
            raise kind(f"events[{at}]: {event.message}")
        if event.timestamp is None:
            raise MalformedEvent(f"events[{at}]: timestamp is missing")
        event.timestamp = past_time(event.timestamp, f"events[{at}]: timestamp", now)
        events.append(event)
    return events


def check_unique(events: Iterable[EventIn]) -> None:
    """Raise MalformedEvent if two events have the same id."""
    seen: set[str] = set()
    for event in events:
        if event.event_id in seen:
            raise MalformedEvent(f"eventId {event.event_id!r} is in the line twice")
        seen.add(event.event_id)
