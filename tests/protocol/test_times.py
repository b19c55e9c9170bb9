"""Wire times: ISO-8601 UTC with milliseconds, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from turnwire.protocol.codec import JSON
from turnwire.protocol.messages import EventIn, Limits
from turnwire.protocol.times import format_time, from_millis, parse_time, to_millis, to_utc


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2025, 12, 21, 10, 30, tzinfo=UTC), "2025-12-21T10:30:00.000Z"),
        (datetime(2025, 12, 21, 10, 30, 0, 123_999, tzinfo=UTC), "2025-12-21T10:30:00.123Z"),
        (datetime(2025, 12, 21, 16, tzinfo=timezone(timedelta(hours=5, minutes=30))), "2025-12-21T10:30:00.000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC), "9999-12-31T23:59:59.999Z"),
        (datetime(2025, 12, 21, 10, 30), "2025-12-21T10:30:00.000Z"),  # noqa: DTZ001 - naive is meant as UTC
    ],
)
def test_a_time_is_written_in_utc_with_milliseconds(moment: datetime, text: str) -> None:
    assert format_time(moment) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2025-12-21T10:30:00Z", "2025-12-21T10:30:00.000Z"),
        ("2025-12-21T10:30:00.1239Z", "2025-12-21T10:30:00.123Z"),
        ("2025-12-21T16:00+05:30", "2025-12-21T10:30:00.000Z"),
        ("0001-01-01T00:00:00-14:00", "0001-01-01T14:00:00.000Z"),
    ],
)
def test_a_time_with_any_offset_is_read(text: str, written: str) -> None:
    assert format_time(parse_time(text)) == written


@pytest.mark.parametrize(
    "text",
    ["", "now", "2025-12-21", "2025-12-21T10:30:00", "2025-13-01T00:00:00Z", "1766313000", "0001-01-01T00:00:00+14:00",
     "9999-12-31T23:59:59-00:01", "2025-12-21T10:30:00Z ", "\uff12025-12-21T10:30:00Z"],
)  # fmt: skip
def test_text_that_is_not_a_time_with_an_offset_raises_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)


def test_times_before_1970_are_cut_to_milliseconds_downwards_too() -> None:
    assert to_millis(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1
    assert to_millis(to_utc(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))) == -1


@pytest.mark.parametrize("millis", [0, 1, -1, 1_766_313_000_123, to_millis(datetime(1, 1, 1, tzinfo=UTC))])
def test_a_time_survives_conversion_to_milliseconds_and_back(millis: int) -> None:
    assert to_millis(from_millis(millis)) == millis
    assert to_millis(parse_time(format_time(from_millis(millis)))) == millis


@pytest.mark.parametrize(("written", "micros"), [(".000900Z", 0), (".123999+05:30", 123_000), (".5Z", 500_000)])
@pytest.mark.parametrize("payload", ['{"plain": 1}', '{"a": {"$b": [1.5, "\\u0000"]}}'])
def test_an_event_is_admitted_with_the_milliseconds_that_the_store_keeps(
    written: str, micros: int, payload: str
) -> None:
    """Both ways of decoding are tried: all at once, and value by value."""
    body = f'{{"eventId":"e1","type":"system","payload":{payload},"timestamp":"2025-12-21T10:30:00{written}"}}'
    (event,), _ = JSON.decode_events_body(body.encode(), Limits())
    assert isinstance(event, EventIn)
    assert event.timestamp is not None
    assert event.timestamp.microsecond == micros
