"""Frames that arrived together are decoded at once, with the same result as one by one."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from turnwire.protocol.codec import JSON, MSGPACK, Batch
from turnwire.protocol.errors import TurnwireError
from turnwire.protocol.messages import BadEvent, EventIn, Limits

LIMITS = Limits()
APPEND = b'{"type":"append","events":[{"eventId":"e","type":"system","payload":{}}]}'
PIECES = [
    APPEND,
    APPEND[:-2],
    b"]}",
    APPEND + APPEND,
    APPEND + b"\n" + APPEND,
    APPEND.replace(b"{}", b'{"a":"}'),
    b'{"}}]}',
    b"\n" + APPEND,
    b"",
    b"{}",
    b'{"type":"ping"}',
    b'{"type":"append","events":[]}',
    b'{"events":[{"eventId":"e","type":"system","payload":{}}]}',
]
"""Appends, and what is none but may become one beside others."""


def append(**changes: Any) -> bytes:
    event = {"eventId": "e", "type": "user_speech", "payload": {"text": "hi"}} | changes
    return msgspec.json.encode({"type": "append", "events": [event, {**event, "eventId": "ä"}]})


def one_by_one(frames: list[bytes], limits: Limits = LIMITS) -> list[EventIn | BadEvent] | None:
    """Return what `decode_appends` may return; None if any of the frames is refused or is not an append."""
    events: list[EventIn | BadEvent] = []
    for frame in frames:
        try:
            batch = JSON.decode_publisher(frame, limits)
        except TurnwireError:
            return None
        if not isinstance(batch, Batch):
            return None
        events += batch.events
    return events


@pytest.mark.parametrize("changes", [  # several to a line: a line for each would hide the test
    {}, {"timestamp": "2026-01-02T03:04:05.123456+02:00"}, {"eventId": ""}, {"eventId": "x" * 200},
    {"payload": {"$ref": 1}}, {"payload": {"$ref": 1, "$id": 2}}, {"payload": {"a\0": 1}}, {"payload": {"a": "b\nc"}},
    {"timestamp": "0001-01-01T00:00:00.000Z"}, {"more": 1},
])  # fmt: skip
def test_ordinary_appends_give_the_same_events_together_as_alone(changes: dict[str, Any]) -> None:
    frames = [append(), append(**changes), append()]
    assert JSON.decode_appends(frames, LIMITS) == one_by_one(frames) is not None


@pytest.mark.parametrize("changes", [  # several to a line: a line for each would hide the test
    {"timestamp": "2026-01-02T03:04:05.123999600Z"}, {"timestamp": "2026-01-02"}, {"type": "other"}, {"eventId": 1},
    {"payload": {"n": 2**63}}, {"payload": {"text": "x" * 999}},
])  # fmt: skip
def test_appends_with_anything_unusual_are_left_to_be_decoded_alone(changes: dict[str, Any]) -> None:
    limits = replace(LIMITS, event_bytes=1024)
    assert JSON.decode_appends([append(), append(**changes), append()], limits) is None


def test_what_is_no_append_alone_is_none_beside_others() -> None:
    for frames in combinations_with_replacement(PIECES, 3):
        for order in (list(frames), list(reversed(frames))):
            assert JSON.decode_appends(order, LIMITS) in (None, one_by_one(order)), order


def test_bounds_of_an_append_and_of_a_frame_hold_for_each_of_them() -> None:
    assert JSON.decode_appends([append(), append()], replace(LIMITS, batch_events=1)) is None
    assert JSON.decode_appends([append(), append()], replace(LIMITS, containers=20)) is None
    assert JSON.decode_appends([append(), append()], replace(LIMITS, containers=0)) is not None


def test_text_that_is_not_utf8_and_messagepack_are_left_to_be_decoded_alone() -> None:
    broken = append(more="?").replace(b"?", b"\xff")
    assert JSON.decode_appends([append(), broken], LIMITS) is None
    packed = msgspec.msgpack.encode(msgspec.json.decode(append()))
    assert MSGPACK.decode_appends([packed, packed], LIMITS) is None
