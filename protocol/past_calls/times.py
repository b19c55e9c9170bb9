"""Times that a client gives for what has already happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from turnwire.protocol.errors import InvalidMessage
from turnwire.protocol.times import to_utc

SKEW = timedelta(seconds=10)
"""How far a client's clock may be ahead of the gateway's."""
NO_FUTURE: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""A `now` after every possible time, so that nothing is in the future."""


def past_time(moment: datetime, name: str, now: datetime) -> datetime:
    """Return the moment in UTC, in whole milliseconds.

    Raises InvalidMessage for a time without a UTC offset, outside the years 1 to 9999, or later than `now` plus the
    allowed clock skew.
    """
    if moment.tzinfo is None:
        raise InvalidMessage(f"{name} must have a UTC offset")
    try:
        past = to_utc(moment)
    except OverflowError:
        raise InvalidMessage(f"{name} must be within the years 1 to 9999 in UTC") from None
    if past > now + SKEW:
        raise InvalidMessage(f"{name} must not be in the future")
    return past
