"""What a codec has decoded in part: events that may still be invalid, and times with more digits than a clock has."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType, inspect

from turnwire.protocol.messages import EventIn, Limits
from turnwire.protocol.salvage import UNDECODABLE
from turnwire.protocol.shape import Shape
from turnwire.protocol.times import cut_digits, cut_packed, may_round_up
from turnwire.protocol.values import PLAIN_DEPTH, PlainObject, may_hide_fault


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


def plain_event(decoder: Any, text: bytes, limits: Limits) -> PlainEvent | None:
    """Return the event in a JSON text if its payload is storable and nothing about it is unusual; None for any other,
    which may be good or not. The decoder is that of PlainEvent."""
    if len(text) > limits.event_bytes or limits.depth < PLAIN_DEPTH:
        return None
    if may_hide_fault(text) or may_round_up(text, text=True):
        return None
    try:
        event: PlainEvent = decoder.decode(text)
    except UNDECODABLE:
        return None
    return event


def cut_times(data: Raw | bytes, kind: Any, format: Any) -> Raw | bytes:
    """Return an object of this kind with its times cut, as a decoder would round them up.

    `format`: msgspec.json or msgspec.msgpack.

    What cannot be read stays as it is, so that its decoder says what is wrong.
    """
    names = _times_of(kind)
    try:
        fields = format.decode(data, type=dict[str, Raw]) if names else {}
        for name in names & fields.keys():
            fields[name] = _cut(fields[name], format)
    except UNDECODABLE:
        return data
    return bytes(format.encode(fields)) if fields else data


def _cut(raw: Raw, format: Any) -> Raw:
    value = format.decode(raw)
    if isinstance(value, str):
        return Raw(format.encode(cut_digits(value)))
    return Raw(cut_packed(bytes(raw))) if isinstance(value, datetime) else raw


@cache
def _times_of(kind: Any) -> frozenset[str]:
    """Return the names on the wire of the fields that are times; none for anything but a Struct."""
    if not isinstance(kind, type) or not issubclass(kind, Struct):
        return frozenset()
    shape = inspect.type_info(kind)
    assert isinstance(shape, inspect.StructType)
    return frozenset(field.encode_name for field in shape.fields if _is_time(field.type))


def _is_time(type: inspect.Type) -> bool:
    kinds = type.types if isinstance(type, inspect.UnionType) else (type,)
    return any(isinstance(each, inspect.DateTimeType) for each in kinds)
