"""Bodies of REST requests: one event or several, sessions, and errors that name the fault."""

from __future__ import annotations

import json

import msgspec
import pytest

from turnwire.protocol.bodies import CompleteSession, CreateSession
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import ErrorCode, InvalidJson, InvalidMessage, MalformedEvent, TurnwireError
from turnwire.protocol.messages import EventIn, Limits

LIMITS = Limits()
EVENT = {"eventId": "a", "type": "system", "payload": {"k": 1}}


def decode(body: object) -> tuple[list[EventIn], bool]:
    return JSON.decode_events_body(msgspec.json.encode(body), LIMITS)


def test_a_body_with_one_event_is_not_a_batch() -> None:
    assert decode(EVENT) == ([EventIn("a", "system", {"k": 1})], False)


def test_a_body_with_a_list_of_one_event_is_a_batch() -> None:
    assert decode({"events": [EVENT]}) == ([EventIn("a", "system", {"k": 1})], True)
    assert [event.event_id for event in decode({"events": [EVENT, {**EVENT, "eventId": "b"}]})[0]] == ["a", "b"]


@pytest.mark.parametrize("around", [b"", b'"eventId":"x","type":"system","payload":{},'])
@pytest.mark.parametrize("name", [b'"events"', b'"\\u0065vents"', b'"e\\u0076ent\\u0073"'])
def test_a_list_of_events_is_a_batch_however_its_name_is_spelled(name: bytes, around: bytes) -> None:
    body = b" {%b%b:%b}" % (around, name, msgspec.json.encode([EVENT]))
    assert JSON.decode_events_body(body, LIMITS) == decode({"events": [EVENT]})


def test_an_event_that_mentions_events_is_not_a_batch() -> None:
    for text in ("events", "\u00e9vents", '"events"'):
        event = {**EVENT, "payload": {"events": text}}
        for body in (msgspec.json.encode(event), json.dumps(event).encode()):
            assert JSON.decode_events_body(body, LIMITS) == ([EventIn("a", "system", {"events": text})], False)


def test_space_around_an_event_does_not_count_as_its_bytes() -> None:
    body = msgspec.json.encode(EVENT)
    limits = Limits(event_bytes=len(body))
    assert JSON.decode_events_body(b" " * 9 + body + b"\n", limits) == decode(EVENT)
    with pytest.raises(TurnwireError, match="over the limit"):
        JSON.decode_events_body(body.replace(b"1", b"11"), limits)


def test_a_body_with_too_many_containers_is_refused_before_it_is_decoded() -> None:
    body = msgspec.json.encode({**EVENT, "payload": {"k": [[]] * 20}})
    with pytest.raises(InvalidMessage, match="at most 10 arrays"):
        JSON.decode_events_body(body, Limits(containers=10))


@pytest.mark.parametrize("count", [0, 501])
def test_a_batch_has_1_to_500_events(count: int) -> None:
    with pytest.raises(InvalidMessage, match="1 to 500"):
        decode({"events": [EVENT] * count})


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({}, "eventId"),
        ({**EVENT, "eventId": ""}, "1 to 256"),
        ({**EVENT, "type": "user"}, "type"),
        ({**EVENT, "payload": {"a": {"b\0": 1}}}, "NUL"),
        ({**EVENT, "payload": None}, "payload"),
        ({**EVENT, "timestamp": "2025-12-21T10:30:00"}, "timestamp"),
        ({**EVENT, "timestamp": "0001-01-01T00:00:00+01:00"}, "timestamp"),
    ],
)
def test_a_bad_event_in_a_body_is_named(event: object, text: str) -> None:
    with pytest.raises(TurnwireError, match=text) as caught:
        decode(event)
    assert caught.value.code is ErrorCode.INVALID_EVENT
    assert caught.value.details == [caught.value.message]


@pytest.mark.parametrize(
    "fields",
    [
        {"payload": {"text": "\\u0000 $ref", "n": [1.5, True, None, {"a": -(2**63)}]}},
        {"payload": {"$ref": 1, "$id": 2}},
        {"payload": {"$ref": 1}},
        {"payload": {"b\0": 1}},
        {"payload": {"big": 2**63}},
        {"payload": {"deep": [[[[[[[[]]]]]]]]}},
        {"eventId": "a" * 257},
        {"timestamp": "2025-12-21T10:30:00.1239+02:00"},
        {"timestamp": "0001-01-01T00:00:00Z"},
        {"timestamp": "2025-12-21T10:30:00"},
    ],
)
def test_a_single_event_is_judged_as_one_of_a_batch(fields: dict[str, object]) -> None:
    event = {**EVENT, **fields}
    (as_one, _), (as_batch, _) = (answer_to(body) for body in (event, {"events": [event]}))
    assert as_batch == (f"events[0]: {as_one}" if isinstance(as_one, str) else as_one)


def answer_to(body: object) -> tuple[EventIn | str, bool]:
    """Return the only event, or the text of the error."""
    try:
        [event], is_batch = decode(body)
    except TurnwireError as error:
        return error.message, False
    assert type(event) is EventIn
    return event, is_batch


def test_every_bad_event_of_a_batch_is_named() -> None:
    with pytest.raises(MalformedEvent) as caught:
        decode({"events": [{**EVENT, "type": "x"}, EVENT, {**EVENT, "eventId": ""}]})
    assert caught.value.details is not None
    assert [text.partition(":")[0] for text in caught.value.details] == ["events[0]", "events[2]"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1,}', b"\xff", b'{"a":"\xff","events":[{]}', b"{} {}"])
def test_a_body_that_is_not_json_is_invalid_json(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        JSON.decode_events_body(body, LIMITS)


@pytest.mark.parametrize("body", [[], None, 5, "a", [EVENT], {"events": {}}, {"events": None}, {"events": 5}])
def test_a_body_that_is_not_an_event_or_a_list_of_events_is_invalid(body: object) -> None:
    with pytest.raises(InvalidMessage):
        decode(body)


def test_the_body_of_a_new_session_is_decoded() -> None:
    body = JSON.decode_body(
        b'{"language":"en","sessionId":"s","metadata":{"a":1},"status":"active"}', CreateSession, LIMITS
    )
    assert body == CreateSession("en", "s", {"a": 1}, "active")
    assert JSON.decode_body(b'{"language":"en"}', CreateSession, LIMITS) == CreateSession("en")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "language"),
        (b'{"language":5}', "language"),
        (b'{"language":"en","status":"ended"}', "status"),
        (b'{"language":"en","metadata":[]}', "metadata"),
        (b'{"language":"en","sessionId":7}', "sessionId"),
    ],
)
def test_a_wrong_field_of_a_new_session_is_named(body: bytes, field: str) -> None:
    with pytest.raises(InvalidMessage, match=field) as caught:
        JSON.decode_body(body, CreateSession, LIMITS)
    assert caught.value.details == [caught.value.message]


def test_a_session_may_be_completed_or_failed() -> None:
    assert JSON.decode_body(b"{}", CompleteSession, LIMITS) == CompleteSession("completed", None)
    assert JSON.decode_body(b'{"status":"failed","reason":"r"}', CompleteSession, LIMITS) == CompleteSession(
        "failed", "r"
    )
    with pytest.raises(InvalidMessage, match="status"):
        JSON.decode_body(b'{"status":"active"}', CompleteSession, LIMITS)
