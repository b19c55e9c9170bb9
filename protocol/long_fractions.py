"""Cuts times with more digits than a clock has, which a decoder would round, perhaps up into the next year."""

from __future__ import annotations

from functools import cache
from typing import Any

from msgspec import Raw, Struct, inspect

from turnwire.protocol.salvage import UNDECODABLE
from turnwire.protocol.times import cut_digits


def cut_times(data: Raw | bytes, kind: Any, format: Any) -> Raw | bytes:
    """Return an object of this kind with its times cut to microseconds. `format`: msgspec.json or msgspec.msgpack.

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
    return Raw(format.encode(cut_digits(value))) if isinstance(value, str) else raw


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
