"""Wire times: ISO-8601 UTC with milliseconds, and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
ROUNDED = re.compile(rb"\.\d{3}999[5-9]")
"""What a decoder that rounds to microseconds would make another millisecond of."""
_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")


def format_time(moment: datetime) -> str:
    """`2025-12-21T10:30:00.000Z`. `moment` is aware, or naive and meant as UTC."""
    if moment.tzinfo is not None and moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_time(text: str) -> datetime:
    """The aware UTC datetime a wire time stands for.

    Raises ValueError for anything that is not ISO-8601 with an offset, or that is beyond years 1 to 9999 in UTC.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    try:
        return to_utc(moment)
    except OverflowError:
        raise ValueError(f"{text!r} is not within the years 1 to 9999 in UTC") from None


def to_utc(moment: datetime) -> datetime:
    """The same moment in UTC, cut to milliseconds. Raises OverflowError beyond years 1 to 9999."""
    return cut_to_millis(moment.astimezone(UTC))


def cut_to_millis(moment: datetime) -> datetime:
    """The moment as BSON keeps it: what is smaller than a millisecond is cut off, before 1970 too."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def cut_digits(text: str) -> str:
    """A wire time without the digits of its seconds that no clock of ours has."""
    return _LONG_FRACTION.sub(r"\1", text)


def to_millis(moment: datetime) -> int:
    """Whole milliseconds since 1970-01-01 UTC; negative before."""
    return (moment - _EPOCH) // _MILLISECOND


def from_millis(millis: int) -> datetime:
    return _EPOCH + millis * _MILLISECOND
