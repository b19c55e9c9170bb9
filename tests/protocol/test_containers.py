"""The number of arrays and objects in a message is checked before the message is decoded."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from turnwire.protocol.codec import JSON, MSGPACK
from turnwire.protocol.containers import TooManyContainers, check_containers
from turnwire.protocol.errors import InvalidMessage
from turnwire.protocol.messages import Limits

MOST = 20


def value(count: int) -> Any:
    """Return JSON with this many containers, between values of every kind."""
    others = ["[{" * 40, '"\\[', "ä" * 300, "é" * 20, 1.5, -7, 2**40, 70_000, None, True, "x" * 40]
    return [*others, *([] if index % 2 else {} for index in range(count - 1))]


@pytest.mark.parametrize(("count", "allowed"), [(2, True), (MOST, True), (MOST + 1, False), (5000, False)])
@pytest.mark.parametrize("text", [True, False])
def test_arrays_and_objects_of_a_message_are_counted_exactly(count: int, allowed: bool, text: bool) -> None:
    data = json.dumps(value(count)).encode() if text else msgspec.msgpack.encode(value(count))
    assert len(data) > MOST
    if allowed:
        check_containers(data, MOST, text=text)
    else:
        with pytest.raises(InvalidMessage, match="at most 20 arrays and objects"):
            check_containers(data, MOST, text=text)
    check_containers(data, 0, text=text)


@pytest.mark.parametrize(
    "scalar",
    [
        *(bytes([0xD4 + power, 0x90]) + b"\x90" * (1 << power) for power in range(5)),
        *(bytes([0xCA + n]) + b"\x90" * size for n, size in enumerate((4, 8, 1, 2, 4, 8, 1, 2, 4, 8))),
        b"\xa3\x90\x90\x90",
        b"\xc4\x02\x90\x90",
        b"\xc5\x00\x02\x90\x90",
        b"\xdb\x00\x00\x00\x02\x90\x90",
        b"\xc7\x02\x90\x90\x90",
        b"\xc9\x00\x00\x00\x02\x90\x90\x90",
        b"\x7f",
        b"\xe0",
        b"\xc0",
    ],
    ids=bytes.hex,
)
def test_bytes_inside_messagepack_values_are_not_taken_for_containers(scalar: bytes) -> None:
    check_containers(b"\xdc\x00\x28" + scalar * 40 + b"\x90" * (MOST - 1), MOST, text=False)
    with pytest.raises(TooManyContainers):
        check_containers(b"\xdc\x00\x28" + scalar * 40 + b"\x90" * MOST, MOST, text=False)


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
def test_a_frame_of_a_million_empty_arrays_is_refused(codec: Any) -> None:
    frame = codec.encode_value({"type": "signal", "key": "k", "payload": {"a": [[]] * 300_000}})
    for decode in (codec.decode_publisher, codec.decode_subscriber):
        with pytest.raises(InvalidMessage, match="arrays and objects"):
            decode(frame, Limits(frame_bytes=2**24))


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
def test_a_ping_with_a_long_ref_is_refused(codec: Any) -> None:
    for size, taken in ((100, True), (129, False), (900_000, False)):
        frame = codec.encode_value({"type": "ping", "ref": "x" * size})
        if taken:
            codec.decode_publisher(frame, Limits())
        else:
            with pytest.raises(InvalidMessage, match="over the limit of 128"):
                codec.decode_publisher(frame, Limits())
