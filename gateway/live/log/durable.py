"""What one round brought into the log, and the times of events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct, field

from turnwire.protocol.messages import Event, EventIn
from turnwire.protocol.times import format_time
from turnwire.store.sessions import SessionRecord


class Durable(Struct):
    """What became durable in one round, in seq order, ours and others'."""

    events: list[tuple[int, EventIn]] = field(default_factory=list)
    """(seq, event); every event has its timestamp."""
    foreign: dict[str, Event] = field(default_factory=dict)
    """Those that others have written, by eventId."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why the store will never take an event, by eventId."""
    record: SessionRecord | None = None
    """The session as it stood in the store when somebody else's event was found."""

    @property
    def last(self) -> tuple[int, EventIn]:
        return self.events[-1]

    def take(self, found: Iterable[Event]) -> None:
        """Add events as they were read from the store."""
        self.events += [(event.seq, as_received(event)) for event in found]

    def shaped(self, session_id: str) -> list[Event]:
        """All of them as the wire has them."""
        return [
            Event(event.event_id, session_id, event.type, event.payload, format_time(time_of(event)), seq)
            for seq, event in self.events
        ]


def as_received(event: Event) -> EventIn:
    """A stored event in the shape of one that was received."""
    return EventIn(event.event_id, event.type, event.payload, datetime.fromisoformat(event.timestamp))


def time_of(event: EventIn) -> datetime:
    """The timestamp of an admitted event."""
    assert event.timestamp is not None, "given when it was admitted"
    return event.timestamp


def rise(last: datetime | None, times: Iterable[datetime]) -> bool:
    """Whether none of these times is before the one before it, the first one not before `last`."""
    given = list(times)
    return sorted(given) == given and (last is None or not given or last <= given[0])


def times_of(events: Iterable[Event]) -> list[datetime]:
    return [datetime.fromisoformat(event.timestamp) for event in events]
