"""Null stands for a field that is left out, wherever one may be; and nothing is said in Python's words."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from turnwire.gateway.access.credentials.minting import DEFAULT_TTL, MintRequest
from turnwire.gateway.access.credentials.revocations import RevocationRequest
from turnwire.protocol.bodies import AmendSession, CommandIn, CompleteSession, CreateSession
from turnwire.protocol.codec import JSON, MSGPACK, Batch, Codec
from turnwire.protocol.control.commands import check_command, standard_payload
from turnwire.protocol.errors import InvalidMessage, TurnwireError
from turnwire.protocol.messages import BadEvent, Limits
from turnwire.protocol.values import in_words, kind_of

LIMITS = Limits()
both = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])


def encode(codec: Codec, value: Any) -> bytes:
    return json.dumps(value).encode() if codec is JSON else msgspec.msgpack.encode(value)


BODIES: list[tuple[type, dict[str, Any], list[str]]] = [
    (CreateSession, {"language": "en"}, ["sessionId", "metadata", "status"]),
    (AmendSession, {}, ["metadata", "language"]),
    (CompleteSession, {}, ["status", "reason"]),
    (CommandIn, {"commandId": "c", "command": "x", "payload": {}}, ["by", "ttlMs"]),
    (MintRequest, {"sub": "a", "scope": "metrics", "sessions": []}, ["ttl"]),
    (RevocationRequest, {"sub": "a"}, ["jti", "key", "before"]),
]


@pytest.mark.parametrize(("kind", "needed", "optional"), BODIES, ids=[kind.__name__ for kind, _, _ in BODIES])
def test_null_in_a_body_is_the_same_as_nothing(kind: type, needed: dict[str, Any], optional: list[str]) -> None:
    plain: Any = JSON.decode_body(encode(JSON, needed), kind, LIMITS)
    for name in optional:
        with_null: Any = JSON.decode_body(encode(JSON, {**needed, name: None}), kind, LIMITS)
        if kind is AmendSession:
            assert getattr(with_null, name) is None
        else:
            assert with_null == plain
    assert kind is not MintRequest or plain.ttl == DEFAULT_TTL


@both
@pytest.mark.parametrize("name", ["status", "reason"])
def test_null_in_a_complete_is_the_same_as_nothing(codec: Codec, name: str) -> None:
    plain = codec.decode_publisher(encode(codec, {"type": "complete"}), LIMITS)
    assert codec.decode_publisher(encode(codec, {"type": "complete", name: None}), LIMITS) == plain


@both
@pytest.mark.parametrize("name", ["message"])
def test_null_in_a_result_is_the_same_as_nothing(codec: Codec, name: str) -> None:
    result = {"type": "commandResult", "commandId": "c", "state": "done"}
    plain = codec.decode_publisher(encode(codec, result), LIMITS)
    assert codec.decode_publisher(encode(codec, {**result, name: None}), LIMITS) == plain


@both
@pytest.mark.parametrize("name", ["afterSeq", "feed", "status", "summaries"])
def test_null_in_a_subscribe_is_the_same_as_nothing(codec: Codec, name: str) -> None:
    asked = {"type": "subscribe", "ref": "r", "sessionId": "s"}
    plain = codec.decode_subscriber(encode(codec, asked), LIMITS)
    assert codec.decode_subscriber(encode(codec, {**asked, name: None}), LIMITS) == plain


@both
def test_null_as_a_timestamp_is_the_same_as_none(codec: Codec) -> None:
    event = {"eventId": "e", "type": "system", "payload": {}}
    plain = codec.decode_publisher(encode(codec, {"type": "append", "events": [event]}), LIMITS)
    with_null = {"type": "append", "events": [{**event, "timestamp": None}]}
    assert codec.decode_publisher(encode(codec, with_null), LIMITS) == plain


@pytest.mark.parametrize(
    ("command", "needed", "optional"),
    [
        ("whisper", {"text": "t"}, ["respond", "interrupt"]),
        ("say", {"text": "t"}, ["interrupt", "interruptible", "end"]),
        ("end", {}, ["say", "reason"]),
    ],
)
def test_null_in_a_standard_command_is_taken_and_not_passed_on(
    command: str, needed: dict[str, Any], optional: list[str]
) -> None:
    payload = {**needed, **dict.fromkeys(optional)}
    check_command("c", command, payload, None, LIMITS)
    assert standard_payload(command, payload) == needed


def test_null_in_the_payload_of_any_other_command_is_passed_on() -> None:
    assert standard_payload("dance", {"a": None}) == {"a": None}


@pytest.mark.parametrize("name", ["text"])
def test_null_is_refused_where_a_value_is_needed(name: str) -> None:
    with pytest.raises(InvalidMessage, match="got null"):
        check_command("c", "say", {name: None}, None, LIMITS)
    with pytest.raises(InvalidMessage, match=r"Expected a string, got null - at `\$\.language`"):
        JSON.decode_body(b'{"language":null}', CreateSession, LIMITS)


# --- integers --------------------------------------------------------------------------------------------------------


@both
def test_a_number_with_a_point_is_not_an_integer_on_a_socket(codec: Codec) -> None:
    for number in (1.0, 1.5):
        asked = {"type": "subscribe", "ref": "r", "sessionId": "s", "afterSeq": number}
        with pytest.raises(InvalidMessage, match="Expected an integer or null, got a number with a point"):
            codec.decode_subscriber(encode(codec, asked), LIMITS)


def test_a_number_with_a_point_is_not_an_integer_in_a_body() -> None:
    for number in (b"1.0", b"1.5", b"1e2"):
        body = b'{"commandId":"c","command":"x","payload":{},"ttlMs":%s}' % number
        with pytest.raises(InvalidMessage, match="Expected an integer or null, got a number with a point"):
            JSON.decode_body(body, CommandIn, LIMITS)


# --- words -----------------------------------------------------------------------------------------------------------


PYTHON = re.compile(
    r"`(?:str|int|float|bool|bytes|dict|list|None|array|object|null|ext|datetime)\b|NoneType|Struct|\bdict\b"
)
WRONG: list[Any] = [None, True, 1, 1.5, "x", [], {}, b"x", msgspec.msgpack.Ext(7, b"")]


def said(codec: Codec, value: Any) -> list[str]:
    """What a codec says of a message; nothing when it is taken."""
    texts = []
    for decode in (codec.decode_publisher, codec.decode_subscriber, codec.decode_events_body):
        try:
            taken = decode(encode(codec, value), LIMITS)
        except TurnwireError as error:
            texts += [error.message, *(error.details or ())]
        else:
            events = taken.events if isinstance(taken, Batch) else []
            texts += [each.message for each in events if isinstance(each, BadEvent)]
    return texts


@both
def test_no_refusal_of_a_value_of_the_wrong_kind_speaks_python(codec: Codec) -> None:
    wrong = WRONG if codec is MSGPACK else WRONG[:-2]
    event: dict[str, Any] = {"eventId": "e", "type": "system", "payload": {}, "timestamp": None}
    messages = [
        *wrong,
        *({"type": each} for each in wrong),
        *({"type": "append", "events": each} for each in wrong),
        *({"type": "append", "events": [{**event, name: each}]} for name in event for each in wrong),
        *({"type": "append", "events": [{**event, "payload": {"a": each}}]} for each in wrong),
        *({"type": "subscribe", name: each} for name in ("ref", "afterSeq", "status", "feed") for each in wrong),
        *({"type": "signal", "key": each, "payload": each} for each in wrong),
    ]
    texts = [text for message in messages for text in said(codec, message)]
    assert len(texts) > 100
    assert [text for text in texts if PYTHON.search(text)] == []


def test_kinds_are_named_as_json_names_them() -> None:
    assert in_words("Expected `int | null`, got `float` - at `$.a`") == (
        "Expected an integer or null, got a number with a point - at `$.a`"
    )
    assert in_words("Expected `str` of length >= 1 - at `$.sub`") == "Expected a string of length >= 1 - at `$.sub`"
    assert in_words("Object missing required field `str`") == "Object missing required field `str`"
    assert [kind_of(each) for each in WRONG] == [
        *("null", "a boolean", "an integer", "a number with a point", "a string", "an array", "an object"),
        *("binary data", "an extension value"),
    ]


def test_a_key_that_is_not_a_string_is_named_by_its_kind() -> None:
    frame = msgspec.msgpack.encode(
        {"type": "append", "events": [{"eventId": "e", "type": "system", "payload": {1: 2}}]}
    )
    batch = MSGPACK.decode_publisher(frame, LIMITS)
    assert isinstance(batch, Batch)
    (bad,) = batch.events
    assert isinstance(bad, BadEvent)
    assert PYTHON.search(bad.message) is None
    with pytest.raises(TurnwireError, match="Expected a string, got null"):
        JSON.decode_events_body(b'{"eventId":null,"type":"system","payload":{}}', LIMITS)
