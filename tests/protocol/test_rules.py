"""Limits of values, what makes two events the same, and status transitions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import pytest

from turnwire.protocol.errors import InvalidMessage, MalformedEvent
from turnwire.protocol.messages import Event, EventIn, Limits, SessionStatus
from turnwire.protocol.rules import (
    check_end_reason,
    check_event,
    check_id,
    check_timestamp,
    checked_metadata,
    has_ended,
    same_event,
    status_after_event,
)
from turnwire.protocol.values import object_fault

LIMITS = Limits()


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for level in range(levels - 1):
        value = {"a": value} if level % 2 else {"a": [], "b": value}
    return value


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a", "é" * 256, " ", "\0"])
def test_an_id_has_1_to_256_characters(value: str) -> None:
    check_id(value, "sessionId", LIMITS)


@pytest.mark.parametrize("value", ["", "a" * 257])
def test_any_other_length_of_an_id_is_refused_by_name_and_limit(value: str) -> None:
    with pytest.raises(InvalidMessage, match=f"sessionId must have 1 to 256 characters, has {len(value)}"):
        check_id(value, "sessionId", LIMITS)


def test_an_end_reason_may_be_left_out() -> None:
    check_end_reason(None, LIMITS)
    check_end_reason("hangup", LIMITS)
    with pytest.raises(InvalidMessage, match="reason"):
        check_end_reason("", LIMITS)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"a": 2**63}, ".a: an integer must fit"),
        ({"a": -(2**63) - 1}, ".a: an integer must fit"),
        ({"a": [0, {"b": 2**64}]}, ".a[1].b: an integer must fit"),
        ({"a": float("nan")}, ".a: a number must be finite"),
        ({"a": [float("-inf")]}, ".a[0]: a number must be finite"),
        ({"a": b""}, ".a: binary data is not a JSON value"),
        ({"a": datetime(2025, 1, 1, tzinfo=UTC)}, ".a: a time is not a JSON value"),
        ({"a": {1: 2}}, ".a: keys must be strings, found an integer"),
        ({"a": {("b",): b""}}, ".a: keys must be strings, found an array"),
        ({"a\0": 1}, ": a key must not contain the NUL character"),
        ({"a": [[{"b\0c": 1}]]}, ".a[0][0]: a key must not contain the NUL character"),
        ({"$ref": 1, "$id": 1}, ": an object with both '$ref' and '$id'"),
        ({"a": {"$ref": 1, "$id": 1, "$db": 1}}, ".a: an object with both '$ref' and '$id'"),
        (nested(65), ": nested deeper than the limit of 64 levels"),
    ],
)
def test_a_value_that_cannot_be_returned_exactly_is_named_with_its_path(value: dict[str, Any], fault: str) -> None:
    found = object_fault(value, LIMITS.depth)
    assert found is not None
    assert found.startswith(fault)


@pytest.mark.parametrize("value", [{}, nested(64), {"a": [1, 1.5, True, None, "\0", {"$ref": 1}]}, {"": {"": []}}])
def test_a_json_object_within_the_limits_has_no_fault(value: dict[str, Any]) -> None:
    assert object_fault(value, LIMITS.depth) is None


def test_a_long_path_to_a_fault_is_cut() -> None:
    value: dict[str, Any] = {"last": 2**63}
    for _ in range(50):
        value = {"key" * 100: value}
    fault = object_fault(value, LIMITS.depth)
    assert fault is not None
    assert len(fault) < 200


def test_metadata_has_the_rules_of_a_payload() -> None:
    checked_metadata(nested(64), LIMITS)
    with pytest.raises(InvalidMessage, match=r"metadata: nested .* 64"):
        checked_metadata(nested(65), LIMITS)
    with pytest.raises(InvalidMessage, match=r"metadata\.a: .*int64"):
        checked_metadata({"a": 2**63}, LIMITS)


# --- times -----------------------------------------------------------------------------------------------------------

EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=WEST),
        datetime(1, 1, 1, 14, tzinfo=EAST),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(9999, 12, 31, 23, tzinfo=EAST),
        datetime(9999, 12, 31, 11, 59, tzinfo=WEST),
        datetime(2025, 12, 21, tzinfo=EAST),
    ],
)
def test_any_time_with_an_equivalent_in_utc_is_accepted(moment: datetime) -> None:
    check_timestamp(moment)
    check_event(EventIn("e", "system", {}, moment), LIMITS)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=EAST),
        datetime(1, 1, 1, 13, 59, tzinfo=EAST),
        datetime(9999, 12, 31, 12, tzinfo=WEST),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=WEST),
        datetime(2025, 12, 21),  # noqa: DTZ001 - naive is what is refused
    ],
)
def test_a_time_outside_the_years_of_utc_makes_a_bad_event(moment: datetime) -> None:
    with pytest.raises(MalformedEvent, match="timestamp"):
        check_event(EventIn("e", "system", {}, moment), LIMITS)


# --- the same event --------------------------------------------------------------------------------------------------


class DriverInt(int):
    """An integer as a database driver may return it."""


def same(stored: object, sent: object, **fields: Any) -> bool:
    event = Event("e", "s", "system", {"v": stored}, "2025-12-21T10:30:00.000Z", 1)
    return same_event(event, EventIn("e", fields.get("type", "system"), {"v": sent}, fields.get("timestamp")))


def test_two_events_are_the_same_whatever_their_key_order_and_timestamp() -> None:
    assert same({"a": 1, "b": [2]}, {"b": [2], "a": 1}, timestamp=datetime(2020, 1, 1, tzinfo=UTC))


def test_events_with_another_type_or_payload_differ() -> None:
    assert not same(1, 1, type="user_speech")
    assert not same([1, 2], [2, 1])
    assert not same({"a": 1}, {"a": 1, "b": None})


@pytest.mark.parametrize(("left", "right"), [(1, 1.0), (1, True), (0, False), (1.0, True), (None, False), ("1", 1)])
def test_json_values_that_python_considers_equal_are_distinguished(left: object, right: object) -> None:
    for stored, sent in ((left, right), (right, left)):
        assert not same(stored, sent)
        assert not same([{"a": stored}], [{"a": sent}])
        assert same(stored, stored)


def test_an_int64_of_the_driver_equals_its_integer() -> None:
    assert same(DriverInt(2**40), 2**40)
    assert same({"a": [DriverInt(1)]}, {"a": [1]})
    assert not same(DriverInt(1), True)
    assert not same(DriverInt(1), 1.0)


# --- status ----------------------------------------------------------------------------------------------------------


def test_an_event_activates_a_session_and_changes_no_other_status() -> None:
    assert {status: status_after_event(status) for status in get_args(SessionStatus)} == {
        "initiated": "active",
        "active": "active",
        "completed": "completed",
        "failed": "failed",
    }


def test_a_session_has_ended_when_it_is_completed_or_failed() -> None:
    assert [status for status in get_args(SessionStatus) if has_ended(status)] == ["completed", "failed"]
