"""Decoding a publisher's frames: messages, and errors for frames that are not."""

from __future__ import annotations

import msgspec
import pytest

from tests.protocol.frames import LIMITS, append, both, decoded, encode, event, refusal
from turnwire.protocol.codec import JSON, MSGPACK, Codec
from turnwire.protocol.errors import ErrorCode, InvalidJson, InvalidMessage, TooLarge, TurnwireError
from turnwire.protocol.messages import Complete, EventIn, Ping, Signal

# --- commands --------------------------------------------------------------------------------------------------------


@both
def test_an_append_becomes_its_events_in_order(codec: Codec) -> None:
    assert decoded(codec, append(event("a"), event("b", type="system", payload={}))) == [
        EventIn("a", "user_speech", {"text": "hello"}),
        EventIn("b", "system", {}),
    ]


@both
def test_unknown_fields_of_a_message_and_its_events_are_ignored(codec: Codec) -> None:
    message = {**append(event("a", seq=7, extra={"x": [1]})), "more": [[]]}
    assert decoded(codec, message) == [EventIn("a", "user_speech", {"text": "hello"})]


@both
def test_a_signal_frame_is_decoded(codec: Codec) -> None:
    frame = encode(codec, {"type": "signal", "key": "interim", "payload": {"text": "hel"}})
    assert codec.decode_publisher(frame, LIMITS) == Signal("interim", {"text": "hel"})


@both
def test_complete_means_completed_unless_it_says_failed(codec: Codec) -> None:
    assert codec.decode_publisher(encode(codec, {"type": "complete"}), LIMITS) == Complete("completed", None)
    frame = encode(codec, {"type": "complete", "status": "failed", "reason": "hangup"})
    assert codec.decode_publisher(frame, LIMITS) == Complete("failed", "hangup")


@both
@pytest.mark.parametrize("ref", [None, 7, "a", [1, {"b": 2.5}], {"k": None}])
def test_the_ref_of_a_ping_is_kept_as_it_came(codec: Codec, ref: object) -> None:
    ping = codec.decode_publisher(encode(codec, {"type": "ping", "ref": ref}), LIMITS)
    assert isinstance(ping, Ping)
    assert isinstance(ping.ref, msgspec.Raw)
    assert bytes(ping.ref) == encode(codec, ref)


@both
def test_a_ping_needs_no_ref(codec: Codec) -> None:
    assert codec.decode_publisher(encode(codec, {"type": "ping"}), LIMITS) == Ping()


# --- frames that are no command --------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    "message",
    [
        {"type": "subscribe", "ref": "a"},
        {"type": "nothing"},
        {"type": 5},
        {"events": [event()]},
        {},
        [],
        "append",
        None,
        {"type": "append"},
        {"type": "append", "events": {}},
        {"type": "append", "events": None},
        {"type": "signal", "key": "a"},
        {"type": "signal", "key": "a", "payload": []},
        {"type": "complete", "status": "active"},
        {"type": "complete", "reason": 5},
    ],
)
def test_a_frame_that_is_not_a_publishers_message_is_an_invalid_message(codec: Codec, message: object) -> None:
    assert refusal(codec, message).code is ErrorCode.INVALID_MESSAGE


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"nul",
        b'{"type":"ping"} {}',
        b'{"type":"ping"',
        b'{"type":"append","events":[{]}',
        b"\xff\xfe",
        b'{"type":"\xff"}',
        b'\xef\xbb\xbf{"type":"ping"}',
        b'{"type":"signal","key":"\\ud800","payload":{}}',
    ],
)
def test_a_frame_that_is_not_json_is_invalid_json(frame: bytes) -> None:
    with pytest.raises(InvalidJson):
        JSON.decode_publisher(frame, LIMITS)


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x81", b"\x80\x80", b"\xdb\xff\xff\xff\xff", b'{"type":"ping"}'])
def test_a_frame_that_is_not_messagepack_is_refused(frame: bytes) -> None:
    with pytest.raises((InvalidJson, InvalidMessage)):
        MSGPACK.decode_publisher(frame, LIMITS)


@both
@pytest.mark.parametrize("count", [0, 501, 2000])
def test_an_append_of_no_or_too_many_events_is_one_error_that_names_the_limit(codec: Codec, count: int) -> None:
    error = refusal(codec, append(*(event(f"e{i}") for i in range(count))))
    assert error.code is ErrorCode.INVALID_MESSAGE
    assert "500" in error.message


@both
def test_too_many_events_are_one_error_even_when_some_are_bad(codec: Codec) -> None:
    assert "500" in refusal(codec, append(*({} for _ in range(501)))).message


@both
def test_an_append_of_500_events_is_accepted(codec: Codec) -> None:
    assert len(decoded(codec, append(*(event(f"e{i}") for i in range(500))))) == 500


@both
@pytest.mark.parametrize(("key", "fine"), [("", False), ("k", True), ("k" * 256, True), ("k" * 257, False)])
def test_the_key_of_a_signal_has_1_to_256_characters(codec: Codec, key: str, fine: bool) -> None:
    message = {"type": "signal", "key": key, "payload": {}}
    if fine:
        assert codec.decode_publisher(encode(codec, message), LIMITS) == Signal(key, {})
    else:
        assert "256" in refusal(codec, message).message


@both
def test_a_signals_payload_must_be_json_that_every_subscriber_can_read(codec: Codec) -> None:
    error = refusal(codec, {"type": "signal", "key": "k", "payload": {"a": [1, 2**63]}})
    assert error.code is ErrorCode.INVALID_MESSAGE
    assert error.message.startswith("payload.a[1]: ")


@both
def test_a_signal_has_the_size_limit_of_an_event(codec: Codec) -> None:
    with pytest.raises(TooLarge, match="131072"):
        codec.decode_publisher(encode(codec, {"type": "signal", "key": "k", "payload": {"t": "x" * 131_072}}), LIMITS)


@both
@pytest.mark.parametrize("reason", ["", "r" * 257])
def test_the_reason_of_complete_has_1_to_256_characters(codec: Codec, reason: str) -> None:
    assert "256" in refusal(codec, {"type": "complete", "reason": reason}).message


@pytest.mark.parametrize(
    "ref", [b"[" * 100 + b"]" * 100, b"[" * 5000 + b"]" * 5000, b"18446744073709551616", b'"\xff"']
)
def test_the_ref_of_a_ping_must_be_a_value_that_can_be_echoed(ref: bytes) -> None:
    with pytest.raises(TurnwireError):
        JSON.decode_publisher(b'{"type":"ping","ref":' + ref + b"}", LIMITS)
