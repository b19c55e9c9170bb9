"""Size limits: of an event, alone and within larger frames, and of frames of exactly the limit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.frames import LIMITS, both, encode
from turnwire.protocol.codec import JSON, Batch, Codec
from turnwire.protocol.errors import ErrorCode, TooLarge, TurnwireError
from turnwire.protocol.messages import BadEvent, EventIn
from turnwire.protocol.rules import checked_metadata


def event_of(codec: Codec, size: int, event_id: str = "big") -> dict[str, Any]:
    """Return an event that has exactly `size` bytes when encoded."""
    text = "x" * (size - 200)
    while (length := len(encode(codec, made := event(event_id, text)))) != size:
        text += "x" * (size - length)
    return made


def event(event_id: str, text: str) -> dict[str, Any]:
    return {"eventId": event_id, "type": "bot_speech", "payload": {"text": text}}


def decode(codec: Codec, events: list[dict[str, Any]]) -> list[EventIn | BadEvent]:
    result = codec.decode_publisher(encode(codec, {"type": "append", "events": events}), LIMITS)
    assert isinstance(result, Batch)
    return result.events


@both
def test_an_event_of_exactly_the_size_limit_is_accepted_alone_or_with_others(codec: Codec) -> None:
    exact = event_of(codec, LIMITS.event_bytes)
    assert all(isinstance(found, EventIn) for found in decode(codec, [exact]))
    assert all(isinstance(found, EventIn) for found in decode(codec, [event("a", ""), exact, event("z", "")]))


@both
def test_an_event_over_the_size_limit_is_refused_and_the_others_are_accepted(codec: Codec) -> None:
    over = event_of(codec, LIMITS.event_bytes + 1)
    first, found, last = decode(codec, [event("a", ""), over, event("z", "")])
    assert isinstance(first, EventIn)
    assert isinstance(last, EventIn)
    assert isinstance(found, BadEvent)
    assert (found.event_id, found.code) == ("big", ErrorCode.TOO_LARGE)
    assert str(LIMITS.event_bytes) in found.message


@both
def test_a_lone_event_over_the_size_limit_is_refused(codec: Codec) -> None:
    (found,) = decode(codec, [event_of(codec, LIMITS.event_bytes + 1)])
    assert isinstance(found, BadEvent)
    assert found.code is ErrorCode.TOO_LARGE


@both
def test_an_event_over_the_size_limit_and_a_bad_one_are_refused_in_their_places(codec: Codec) -> None:
    found = decode(codec, [event_of(codec, LIMITS.event_bytes + 1), {"eventId": "w"}, event("z", "")])
    assert [each.code if isinstance(each, BadEvent) else None for each in found] == [
        ErrorCode.TOO_LARGE,
        ErrorCode.INVALID_EVENT,
        None,
    ]


@both
def test_a_frame_of_exactly_1_mib_of_events_is_accepted(codec: Codec) -> None:
    events = [event_of(codec, 130_000, f"e{i}") for i in range(8)]
    room = LIMITS.frame_bytes - len(encode(codec, {"type": "append", "events": events}))
    events.append(event_of(codec, room - (1 if codec is JSON else 0), "last"))
    frame = encode(codec, {"type": "append", "events": events})
    assert len(frame) == LIMITS.frame_bytes
    result = codec.decode_publisher(frame, LIMITS)
    assert isinstance(result, Batch)
    assert [each.event_id for each in result.events] == [f"e{i}" for i in range(8)] + ["last"]
    assert all(isinstance(each, EventIn) for each in result.events)


@both
def test_many_small_events_in_a_large_frame_are_checked_as_in_a_small_one(codec: Codec) -> None:
    events = [event(f"e{i}", "x" * 400) for i in range(499)]
    found = decode(codec, [*events, {**event("n", ""), "payload": {"a\0": 1}}])
    assert [isinstance(each, EventIn) for each in found] == [True] * 499 + [False]


def test_spaces_around_a_json_event_do_not_count_for_its_size() -> None:
    exact = encode(JSON, event_of(JSON, LIMITS.event_bytes))
    frame = b'{"type":"append","events":[ \n' + exact + b"\t ]}"
    assert JSON.decode_publisher(frame, LIMITS).events[0].event_id == "big"  # type: ignore[union-attr]
    assert JSON.decode_events_body(b" \n" + exact + b"\r\n", LIMITS)[0][0].event_id == "big"


def test_a_rest_event_over_the_size_limit_is_too_large_and_the_error_names_the_limit() -> None:
    over = event_of(JSON, LIMITS.event_bytes + 1)
    with pytest.raises(TurnwireError, match="131072") as caught:
        JSON.decode_events_body(encode(JSON, over), LIMITS)
    assert caught.value.code is ErrorCode.TOO_LARGE
    with pytest.raises(TurnwireError, match=r"events\[1\]: .*131072") as caught:
        JSON.decode_events_body(encode(JSON, {"events": [event("a", ""), over]}), LIMITS)
    assert caught.value.code is ErrorCode.TOO_LARGE


def test_metadata_has_its_own_size_limit() -> None:
    checked_metadata({"k": "x" * (64 * 1024 - len('{"k":""}'))}, LIMITS)
    with pytest.raises(TooLarge, match="65536"):
        checked_metadata({"k": "x" * (64 * 1024 - len('{"k":""}') + 1)}, LIMITS)
