"""Decoding a subscriber's frames, and the ref of those that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.frames import LIMITS, both, encode
from turnwire.protocol.codec import JSON, Codec
from turnwire.protocol.errors import ErrorCode, TurnwireError
from turnwire.protocol.messages import Ping, Subscribe, Unsubscribe


@both
@pytest.mark.parametrize(
    ("message", "command"),
    [
        ({"type": "subscribe", "ref": "a", "sessionId": "s", "afterSeq": 3}, Subscribe("a", "s", 3)),
        ({"type": "subscribe", "ref": "a", "sessionId": "s"}, Subscribe("a", "s")),
        ({"type": "subscribe", "ref": "a", "feed": "sessions"}, Subscribe("a", feed="sessions")),
        (
            {"type": "subscribe", "ref": "a", "feed": "sessions", "status": ["active", "failed"]},
            Subscribe("a", feed="sessions", status=["active", "failed"]),
        ),
        ({"type": "unsubscribe", "ref": "a", "extra": 1}, Unsubscribe("a")),
        ({"type": "ping"}, Ping()),
    ],
)
def test_a_subscribers_messages_are_decoded(codec: Codec, message: object, command: object) -> None:
    assert codec.decode_subscriber(encode(codec, message), LIMITS) == command


WRONG: list[dict[str, Any]] = [
    {"type": "subscribe", "ref": "a", "sessionId": 5},
    {"type": "subscribe", "ref": "a", "sessionId": "s", "afterSeq": "3"},
    {"type": "subscribe", "ref": "a", "sessionId": "s", "afterSeq": 1.5},
    {"type": "subscribe", "ref": "a", "feed": "events"},
    {"type": "subscribe", "ref": "a", "feed": "sessions", "status": ["gone"]},
    {"type": "subscribe", "ref": "a", "feed": "sessions", "status": "active"},
    {"type": "watch", "ref": "a"},
    {"type": "append", "ref": "a", "events": []},
    {"ref": "a"},
]


@both
@pytest.mark.parametrize("message", WRONG)
def test_an_invalid_message_of_a_subscriber_is_refused_with_its_ref(codec: Codec, message: dict[str, Any]) -> None:
    frame = encode(codec, message)
    with pytest.raises(TurnwireError) as caught:
        codec.decode_subscriber(frame, LIMITS)
    assert caught.value.code is ErrorCode.INVALID_MESSAGE
    assert codec.ref_of(frame, LIMITS) == "a"


@both
@pytest.mark.parametrize("message", [{"type": "subscribe"}, {"ref": 5}, {"ref": ""}, {"ref": "r" * 129}, [], None, "a"])
def test_a_refused_message_without_a_valid_ref_has_no_ref(codec: Codec, message: object) -> None:
    frame = encode(codec, message)
    with pytest.raises(TurnwireError):
        codec.decode_subscriber(frame, LIMITS)
    assert codec.ref_of(frame, LIMITS) is None


@pytest.mark.parametrize(
    "frame", [b"", b"{", b'{"ref":"a"', b'{"type":"unsubscribe","ref":"\xff"}', b'{"ref":"\\ud800"}']
)
def test_a_frame_that_is_not_json_has_no_ref(frame: bytes) -> None:
    with pytest.raises(TurnwireError):
        JSON.decode_subscriber(frame, LIMITS)
    assert JSON.ref_of(frame, LIMITS) is None
