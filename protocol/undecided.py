"""What a codec has decoded in part: events that may still be invalid, and times with more digits than a clock has."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import MAXYEAR, MINYEAR, datetime
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, inspect

from turnwire.protocol.errors import TurnwireError
from turnwire.protocol.messages import BadEvent, EventIn, Limits, Ping
from turnwire.protocol.rules import check_event
from turnwire.protocol.salvage import UNDECODABLE
from turnwire.protocol.shape import Shape
from turnwire.protocol.times import cut_digits, cut_packed, cut_to_millis, may_round_up
from turnwire.protocol.values import PLAIN_DEPTH, PlainObject, may_hide_fault


class PlainEvent(EventIn):
    """An event whose payload msgspec checks while it decodes."""

    payload: PlainObject


class PlainAppend(Shape, tag_field="type", tag="append"):
    """An append without anything unusual."""

    events: list[PlainEvent]


_appends = msgspec.json.Decoder(PlainAppend | Ping)
"""Of two types, because msgspec takes an object without a `type` if there is only one."""


def decode_lines(lines: bytes, count: int, most: int) -> list[PlainEvent] | None:
    """Return the events of `count` appends in JSON, each of them on a line and of `most` events at most. None if any
    line is anything else.

    The decoder looks for values, not for lines. But between `}` and `{` on the next line, a value is always at its end:
    within one, this is not JSON. So if there are as many values as lines, each line is one.
    """
    if lines.count(b"}\n{") != count - 1 or lines.count(b"\n") != count - 1:
        return None
    try:
        if not lines.isascii():
            lines.decode()  # the decoder skips what it does not need
        appends = _appends.decode_lines(lines)
    except UNDECODABLE:
        return None
    events: list[PlainEvent] = []
    for append in appends:
        if type(append) is not PlainAppend or not 1 <= len(append.events) <= most:
            return None
        events += append.events
    return events if len(appends) == count else None


def from_plain(plain_events: Iterable[PlainEvent], limits: Limits, clear: bool) -> list[EventIn | BadEvent]:
    """Return the checked events. `clear` says that no payload can break a rule that msgspec does not check."""
    longest_id = limits.id_chars if clear else 0
    events: list[EventIn | BadEvent] = []
    for plain in plain_events:
        event_id, moment = plain.event_id, plain.timestamp
        if moment is not None and moment.microsecond % 1000:
            moment = cut_to_millis(moment)  # so that memory and store hold the same time
        event = EventIn(event_id, plain.type, plain.payload, moment)
        if 0 < len(event_id) <= longest_id and (moment is None or MINYEAR < moment.year < MAXYEAR):
            events.append(event)
        else:
            events.append(checked(event, limits))
    return events


def checked(event: EventIn, limits: Limits) -> EventIn | BadEvent:
    """Return the event as it is to be stored, or what stands for it if it must not be."""
    try:
        check_event(event, limits)
    except TurnwireError as error:
        known = 1 <= len(event.event_id) <= limits.id_chars
        return BadEvent(event.event_id if known else None, error.code, error.message)
    if event.timestamp is not None:
        event.timestamp = cut_to_millis(event.timestamp)
    return event


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
