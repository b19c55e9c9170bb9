"""Formatting and parsing wire times: ISO-8601 UTC with milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from msgspec import Raw

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ROUNDED = re.compile(rb"\.\d{3}999[5-9]")
"""Fractions that a decoder would round up to the next millisecond, as it rounds to microseconds."""
_PACKED_MARKS = (b"\xd7\xff", b"\xc7\x0c\xff")
_PACKED = re.compile(rb"(\xd7\xff|\xc7\x0c\xff)(.{4})", re.DOTALL)
"""Timestamps of MessagePack with nanoseconds, of 64 and of 96 bits. The first four bytes hold the nanoseconds."""
_ROUNDED_FROM = 999_500
"""A millisecond with at least this many nanoseconds is rounded up."""
_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")


def format_time(moment: datetime) -> str:
    """Return a wire time such as `2025-12-21T10:30:00.000Z`. A naive `moment` is taken as UTC."""
    if moment.tzinfo is not None and moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_time(text: str) -> datetime:
    """Return a wire time as an aware UTC datetime.

    Raises ValueError for a text that is not ISO-8601 with an offset, or is beyond the years 1 to 9999 in UTC.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an ISO-8601 time") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    try:
        return to_utc(moment)
    except OverflowError:
        raise ValueError(f"{text!r} is not within the years 1 to 9999 in UTC") from None


def to_utc(moment: datetime) -> datetime:
    """Convert to UTC, cut to milliseconds. Raises OverflowError beyond the years 1 to 9999."""
    return cut_to_millis(moment.astimezone(UTC))


def cut_to_millis(moment: datetime) -> datetime:
    """Return the moment as BSON stores it: cut down to whole milliseconds, before 1970 too."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def may_round_up(data: Raw | bytes, *, text: bool) -> bool:
    """Return whether JSON, or else MessagePack, may have a time that its decoder would round up to a millisecond."""
    if _ROUNDED.search(data):
        return True
    if text:
        return False
    packed = bytes(data)
    if not any(mark in packed for mark in _PACKED_MARKS):
        return False
    return any(_nanoseconds(*found.groups()) % 1_000_000 >= _ROUNDED_FROM for found in _PACKED.finditer(packed))


def _nanoseconds(mark: bytes, first: bytes) -> int:
    return int.from_bytes(first) >> 2 if mark == _PACKED_MARKS[0] else int.from_bytes(first)


def cut_packed(value: bytes) -> bytes:
    """Return a value of MessagePack, cut to milliseconds if it is a timestamp with nanoseconds."""
    found = _PACKED.match(value)
    if found is None:
        return value
    below = _nanoseconds(*found.groups()) % 1_000_000
    shift = 2 if found[1] == _PACKED_MARKS[0] else 0
    first = int.from_bytes(found[2]) - (below << shift)
    return found[1] + first.to_bytes(4) + value[found.end() :]


def cut_digits(text: str) -> str:
    """Return a wire time without the digits after the microseconds."""
    return _LONG_FRACTION.sub(r"\1", text)


def to_millis(moment: datetime) -> int:
    """Return whole milliseconds since 1970-01-01 UTC; negative before."""
    return (moment - _EPOCH) // _MILLISECOND


def from_millis(millis: int) -> datetime:
    return _EPOCH + millis * _MILLISECOND
