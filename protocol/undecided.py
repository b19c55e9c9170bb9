"""What a codec makes of bytes on the way to messages: events whose payloads, times or neighbours may be wrong."""

from __future__ import annotations

from msgspec import UNSET, Raw, UnsetType

from turnwire.protocol.messages import EventIn, EventType, JsonObject
from turnwire.protocol.shape import Shape
from turnwire.protocol.values import PlainObject


class PlainEvent(EventIn):
    """An event whose payload msgspec checks while it decodes."""

    payload: PlainObject


class TextTimedEvent(Shape):
    """An event whose timestamp is still as it was sent."""

    event_id: str
    type: EventType
    payload: JsonObject
    timestamp: str | None = None


class PlainAppend(Shape, tag_field="type", tag="append"):
    """An append as it usually is."""

    events: list[PlainEvent]


class RawAppend(Shape, tag_field="type", tag="append"):
    """An append whose events are decoded one by one."""

    events: list[Raw]


class RawBatch(Shape):
    """The same as a REST body."""

    events: list[Raw]


class Refs(Shape):
    """What names the culprit in something that is no message."""

    event_id: Raw | UnsetType = UNSET
    ref: Raw | UnsetType = UNSET
