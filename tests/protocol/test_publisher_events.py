"""The events of an append: good ones are decoded exactly, and bad ones fail alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.protocol.frames import append, bad, batch, both, decoded, encode, event, good_id, refusal
from turnwire.protocol.codec import JSON, MSGPACK, Codec
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.messages import BadEvent, EventIn, Limits

# --- bad events ------------------------------------------------------------------------------------------------------


WRONG_EVENTS: list[tuple[object, str | None, str]] = [
    (event(""), None, "eventId"),
    (event("i" * 257), None, "256"),
    (event(5), None, "eventId"),
    (event(None), None, "eventId"),
    ({"type": "system", "payload": {}}, None, "eventId"),
    (event("x", type="user"), "x", "type"),
    (event("x", type=None), "x", "type"),
    ({"eventId": "x", "payload": {}}, "x", "type"),
    (event("x", payload=[]), "x", "payload"),
    (event("x", payload=None), "x", "payload"),
    (event("x", payload="text"), "x", "payload"),
    ({"eventId": "x", "type": "system"}, "x", "payload"),
    (event("x", payload={"a": {"b\0": 1}}), "x", "NUL"),
    (event("x", payload={"$ref": 1, "$id": 2}), "x", "$ref"),
    (event("x", payload={"a": [{"$id": 1, "$ref": 2}]}), "x", ".a[0]"),
    (event("x", payload={"n": 2**63}), "x", "int64"),
    (event("x", timestamp="yesterday"), "x", "timestamp"),
    (event("x", timestamp=1_700_000_000), "x", "timestamp"),
    (event("x", timestamp="2025-12-21T10:30:00"), "x", "timezone"),
    (event("x", timestamp="2025-12-21"), "x", "timestamp"),
    (event("x", timestamp="0001-01-01T00:00:00+00:01"), "x", "9999"),
    (event("x", timestamp="9999-12-31T23:59:59-00:01"), "x", "9999"),
    ("text", None, "object"),
    (None, None, "object"),
    ([], None, "object"),
    (7, None, "object"),
]


@both
@pytest.mark.parametrize(("wrong", "event_id", "text"), WRONG_EVENTS)
def test_a_bad_event_is_named_and_the_others_are_accepted(
    codec: Codec, wrong: object, event_id: str | None, text: str
) -> None:
    first, found, last = decoded(codec, append(event("a"), wrong, event("z")))
    assert (good_id(first), good_id(last)) == ("a", "z")
    assert bad(found).event_id == event_id
    assert bad(found).code is ErrorCode.INVALID_EVENT
    assert text in bad(found).message


@both
def test_several_bad_events_are_reported_in_their_places(codec: Codec) -> None:
    found = decoded(codec, append(*(wrong for wrong, _, _ in WRONG_EVENTS), event("z")))
    assert [isinstance(each, BadEvent) for each in found] == [True] * len(WRONG_EVENTS) + [False]


@pytest.mark.parametrize(
    ("raw", "event_id"),
    [
        (b'{"eventId":"x","type":"system","payload":{"a":"\xff"}}', "x"),
        (b'{"eventId":"\xff","type":"system","payload":{}}', None),
        (b'{"eventId":"x","type":"system","payload":{"a":"\xed\xa0\x80"}}', "x"),
        (b'{"eventId":"x","type":"system","payload":{"a":"\\ud800"}}', "x"),
        (b'{"eventId":"x","type":"system","payload":{"\\udc00\\ud800":1}}', "x"),
        (b'{"eventId":"\\ud800","type":"system","payload":{}}', None),
        (b'{"eventId":"x","type":"system","payload":{"a":1e400}}', "x"),
        (b'{"eventId":"x","type":"system","payload":{"a":-1e999}}', "x"),
        (b'{"eventId":"x","type":"system","payload":{"a":%s}}' % (b"9" * 5000), "x"),
        (b'{"eventId":"x","type":"system","payload":{"a":-9223372036854775809}}', "x"),
        (b'{"eventId":"x","type":"system","payload":{"\\u0000":1}}', "x"),
        (b'{"eventId":"x","type":"system","payload":{"\\u0024ref":1,"$\\u0069d":1}}', "x"),
    ],
)
def test_invalid_bytes_inside_one_json_event_fail_only_that_event(raw: bytes, event_id: str | None) -> None:
    frame = b'{"type":"append","events":[%s,%s,%s]}' % (encode(JSON, event("a")), raw, encode(JSON, event("z")))
    first, found, last = batch(JSON, frame)
    assert (good_id(first), good_id(last)) == ("a", "z")
    assert (bad(found).event_id, bad(found).code) == (event_id, ErrorCode.INVALID_EVENT)


@pytest.mark.parametrize(
    "value",
    [
        b"\xc4\x01a",  # bin
        b"\xd4\x05a",  # ext
        b"\xd6\xff\x00\x00\x00\x01",  # timestamp
        b"\xcb\x7f\xf8" + bytes(6),  # NaN
        b"\xca\xff\x80\x00\x00",  # -Infinity, 4 bytes
        b"\xcf" + b"\xff" * 8,
        b"\x81\x01\x01",  # keys that are not strings
        b"\x81\xc4\x01a\x01",
        b"\x81\xc0\x01",
        b"\x81\x92\x01\x02\x01",
        b"\x81\x80\x01",
        b"\x81\xd6\xff\x00\x00\x00\x01\x01",
        b"\x81\xa1\x00\x01",
        b"\xa1\xff",
        b"\xa3\xed\xa0\x80",
    ],
)
def test_a_messagepack_value_that_json_lacks_makes_a_bad_event(value: bytes) -> None:
    wrong = b"\x83\xa7eventId\xa1x\xa4type\xa6system\xa7payload\x81\xa1a" + value
    frame = b"\x82\xa4type\xa6append\xa6events\x93" + encode(MSGPACK, event("a")) + wrong + encode(MSGPACK, event("z"))
    first, found, last = batch(MSGPACK, frame)
    assert (good_id(first), good_id(last)) == ("a", "z")
    assert (bad(found).event_id, bad(found).code) == ("x", ErrorCode.INVALID_EVENT)


@pytest.mark.parametrize("escaped", range(2**4))
def test_a_forbidden_key_is_found_however_it_is_escaped(escaped: int) -> None:
    key = "".join(f"\\u{ord(char):04x}" if escaped >> bit & 1 else char for bit, char in enumerate("$ref"))
    frame = b'{"type":"append","events":[{"eventId":"x","type":"system","payload":{"%s":1,"$id":2}}]}' % key.encode()
    (found,) = batch(JSON, frame)
    assert "$ref" in bad(found).message


def test_an_error_that_quotes_a_client_is_cut() -> None:
    found = bad(decoded(JSON, append(event("x", type="t" * 50_000), event("y")))[0])
    assert len(found.message) <= 400
    keyed = bad(decoded(JSON, append(event("x", payload={"k" * 50_000: {"l" * 50_000: 2**63}})))[0])
    assert len(keyed.message) <= 400
    assert "int64" in keyed.message


# --- what is allowed -------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"": ""},
        {"a": {"": [[], {}]}},
        {"n": 2**63 - 1, "m": -(2**63), "f": 1e308, "g": -0.0, "h": 5e-324},
        {"b": [True, False, None, 0, 0.0, ""]},
        {"text": "naïve 😀 \0 \x1f \\u0000 $ref $id"},
        {"$ref": 1},
        {"$id": "a", "x": {"$ref": 1}},
        {"$set": {"a.b": 1}, "_id": 1},
        {"k" * 5000: 1},
    ],
)
def test_any_json_object_within_the_limits_is_decoded_exactly(codec: Codec, payload: dict[str, Any]) -> None:
    (found,) = decoded(codec, append(event("a", payload=payload)))
    assert isinstance(found, EventIn)
    assert repr(found.payload) == repr(payload)  # tells -0.0 from 0.0 and 1 from 1.0 and true


def test_of_equal_keys_in_a_payload_the_last_one_counts() -> None:
    frame = b'{"type":"append","events":[{"eventId":"a","eventId":"b","type":"system","payload":{"k":1,"k":2}}]}'
    assert batch(JSON, frame) == [EventIn("b", "system", {"k": 2})]


@both
@pytest.mark.parametrize("length", [1, 255, 256])
def test_event_ids_of_1_to_256_characters_are_accepted(codec: Codec, length: int) -> None:
    event_id = "é" * length
    assert [good_id(each) for each in decoded(codec, append(event(event_id)))] == [event_id]


@both
@pytest.mark.parametrize(
    ("timestamp", "moment"),
    [
        ("2025-12-21T10:30:00Z", datetime(2025, 12, 21, 10, 30, tzinfo=UTC)),
        ("2025-12-21T16:00:00.123+05:30", datetime(2025, 12, 21, 10, 30, 0, 123_000, tzinfo=UTC)),
        ("2025-12-20T23:30:00-11:00", datetime(2025, 12, 21, 10, 30, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999Z", datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        ("0001-01-01T23:00:00+23:00", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_timestamp_may_have_any_offset(codec: Codec, timestamp: str, moment: datetime) -> None:
    (found,) = decoded(codec, append(event("a", timestamp=timestamp)))
    assert isinstance(found, EventIn)
    assert found.timestamp == moment


def test_messagepack_may_send_its_timestamp_extension() -> None:
    moment = datetime(2025, 12, 21, 10, 30, 0, 123_000, tzinfo=UTC)
    (found,) = decoded(MSGPACK, append(event("a", timestamp=moment)))
    assert isinstance(found, EventIn)
    assert found.timestamp == moment


@both
def test_a_null_timestamp_counts_as_none(codec: Codec) -> None:
    assert decoded(codec, append(event("a", timestamp=None))) == [EventIn("a", "user_speech", {"text": "hello"})]


@both
def test_configured_limits_apply_to_events(codec: Codec) -> None:
    small = Limits(id_chars=3, depth=2, batch_events=2)
    found = decoded(codec, append(event("abcd"), event("abc", payload={"a": [[]]})), small)
    assert "1 to 3 characters" in bad(found[0]).message
    assert "2 levels" in bad(found[1]).message
    assert "1 to 2 events" in refusal(codec, append(event(), event(), event()), small).message
