"""Intermediate shapes of a codec: events whose payloads or neighbours may still be invalid."""

from __future__ import annotations

from msgspec import UNSET, Raw, UnsetType

from turnwire.protocol.messages import EventIn
from turnwire.protocol.shape import Shape
from turnwire.protocol.values import PlainObject


class PlainEvent(EventIn):
    """An event whose payload msgspec checks while it decodes."""

    payload: PlainObject


class PlainAppend(Shape, tag_field="type", tag="append"):
    """An append without anything unusual."""

    events: list[PlainEvent]


class RawAppend(Shape, tag_field="type", tag="append"):
    """An append whose events are decoded one by one."""

    events: list[Raw]


class RawBatch(Shape):
    """A REST body whose events are decoded one by one."""

    events: list[Raw]


class Refs(Shape):
    """The fields that identify an event or a message that failed to decode."""

    event_id: Raw | UnsetType = UNSET
    ref: Raw | UnsetType = UNSET
