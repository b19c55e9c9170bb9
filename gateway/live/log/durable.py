"""What one round added to the log, and the times of events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct, field

from turnwire.protocol.messages import Event, EventIn
from turnwire.protocol.times import format_time, to_millis
from turnwire.store.sessions import SessionRecord


class Durable(Struct):
    """What became durable in one round, from this gateway and from others."""

    events: list[tuple[int, EventIn]] = field(default_factory=list)
    """(seq, event), in seq order. Every event has its timestamp."""
    foreign: dict[str, Event] = field(default_factory=dict)
    """The events that other gateways have stored, by eventId."""
    refused: dict[str, str] = field(default_factory=dict)
    """Events that the store will never accept: eventId to reason."""
    record: SessionRecord | None = None
    """The stored session, read when another gateway's event was found."""
    _millis: list[int] | None = None

    @property
    def last(self) -> tuple[int, EventIn]:
        return self.events[-1]

    def millis(self) -> list[int]:
        """Return the times of all events, in milliseconds since 1970. Call this once all events are there."""
        if self._millis is None:
            self._millis = _millis_of(admitted_times(self.events))
        return self._millis

    def add_found(self, found: Iterable[Event]) -> None:
        """Add events that were read from the store."""
        self.events += [(event.seq, as_received(event)) for event in found]

    def shaped(self, session_id: str) -> list[Event]:
        """Return all events in their wire form."""
        return [
            Event(event.event_id, session_id, event.type, event.payload, format_time(time_of(event)), seq)
            for seq, event in self.events
        ]


def as_received(event: Event) -> EventIn:
    """Return a stored event in the shape of a received one."""
    return EventIn(event.event_id, event.type, event.payload, datetime.fromisoformat(event.timestamp))


def _millis_of(moments: Iterable[datetime]) -> list[int]:
    found: list[int] = []
    last = None
    for moment in moments:
        if moment is not last:  # events that arrived together share a timestamp
            last, millis = moment, to_millis(moment)
        found.append(millis)
    return found


def time_of(event: EventIn) -> datetime:
    """Return the timestamp of an admitted event."""
    assert event.timestamp is not None, "every admitted event has one"
    return event.timestamp


def admitted_times(events: Sequence[tuple[int, EventIn]]) -> list[datetime]:
    """Return `time_of` each of these events, without a call for each."""
    return [event.timestamp for _, event in events]  # type: ignore[misc]  # every admitted event has one


def rise(last: datetime | None, times: Iterable[datetime]) -> bool:
    """Return whether these times never decrease, and the first is not before `last`."""
    given = list(times)
    return sorted(given) == given and (last is None or not given or last <= given[0])


def times_of(events: Iterable[Event]) -> list[datetime]:
    return [datetime.fromisoformat(event.timestamp) for event in events]
