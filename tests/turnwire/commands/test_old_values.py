"""Values of a MongoDB document become JSON as the old service showed them, without a word of Python."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS

from turnwire.commands.moving.old_database import _by_id
from turnwire.commands.moving.old_values import plain

AT = datetime(2024, 5, 1, 10, 0, 0, 123000, UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (AT, "2024-05-01T10:00:00.123Z"),
        (AT.astimezone(timezone(timedelta(hours=2))), "2024-05-01T10:00:00.123Z"),
        (DatetimeMS(8_640_000_000_000_000), 8_640_000_000_000_000),
        (ObjectId("65f000000000000000000001"), "65f000000000000000000001"),
        (Binary(bytes(range(16)), 4), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (Binary(b"\x00\xff"), "AP8="),
        (Binary(b"\x00\xff", 128), "AP8="),
        (b"\x00\xff", "AP8="),
        (Decimal128("1.10"), "1.10"),
        (Regex("a+", re.IGNORECASE | re.MULTILINE), "/a+/im"),
        (Timestamp(1_714_557_600, 2), "2024-05-01T10:00:00.000Z"),
        (MaxKey(), "MaxKey"),
        (Code("x => 1"), "x => 1"),
    ],
)
def test_values_that_json_lacks_become_text_at_any_depth(value: Any, expected: Any) -> None:
    assert plain({"a": [{"b": value}], "c": value}) == {"a": [{"b": expected}], "c": expected}


def test_values_that_json_has_stay_as_they_are() -> None:
    value: dict[str, Any] = {"n": None, "t": True, "i": 7, "f": 1.0, "s": "x", "l": [], "o": {}, "big": Int64(2**60)}
    assert plain(value) == value
    assert type(plain(value)["big"]) is int
    assert type(plain(value)["f"]) is float


def test_events_of_one_moment_are_ordered_whatever_types_their_ids_have() -> None:
    ids = [ObjectId("65f000000000000000000002"), "b", 7, ObjectId("65f000000000000000000001"), "a"]
    ordered = [each["_id"] for each in _by_id([{"_id": each} for each in ids])]
    assert ordered == [ids[3], ids[0], 7, "a", "b"]
