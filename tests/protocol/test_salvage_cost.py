"""What repairing a frame costs: each byte is read once, and a frame that would take long is refused whole."""

from __future__ import annotations

import pytest

from tests.protocol.raw_frames import (
    json_event,
    json_frame,
    msgpack_event,
    msgpack_frame,
    outcome,
)
from turnwire.protocol import salvage
from turnwire.protocol.codec import JSON, MSGPACK
from turnwire.protocol.errors import ErrorCode, InvalidJson, InvalidMessage
from turnwire.protocol.messages import Limits
from turnwire.protocol.salvage import mark_lone_surrogates, prune_deep_json, prune_deep_msgpack

# A pattern or loop that is not linear would take hours for these, and hit the time limit of the test.

HALF_MIB = 512 * 1024


@pytest.mark.parametrize(
    "unit",
    [
        b'"',
        b"\\",
        b'\\"',
        b'"\\',
        b"[",
        b"]",
        b"[]",
        b"{}",
        b'["',
        b'"[',
        b'{"a":',
        b'"a"',
        b'"\\\\',
        b"\\u",
        b"\\ud83d",
        b"x",
    ],
)
def test_half_a_mebibyte_of_any_json_is_read_in_one_pass(unit: bytes) -> None:
    for data in (unit * (HALF_MIB // len(unit)), b'["' + unit * (HALF_MIB // len(unit))):
        assert len(prune_deep_json(data, 80)) <= len(data)
        assert len(mark_lone_surrogates(data)) == len(data)


@pytest.mark.parametrize(
    "unit", [b"\x91", b"\x90", b"\x81\xa1a", b"\xdd\x00\x00\x00\x02", b"\xdc\xff\xff", b"\x92\x90", b"\xc0"]
)
def test_pruning_reads_every_messagepack_value_once(unit: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    heads = 0
    read = salvage._msgpack_head

    def count(data: bytes, position: int) -> tuple[int, int]:
        nonlocal heads
        heads += 1
        return read(data, position)

    monkeypatch.setattr(salvage, "_msgpack_head", count)
    for times in (10_000, 20_000, 40_000):
        heads = 0
        data = unit * times
        prune_deep_msgpack(data, 80)
        assert heads <= len(data)


# --- frames that would take long to repair ---------------------------------------------------------------------------

FEW = Limits(containers=100)


def deep_of_strings(count: int) -> tuple[bytes, bytes]:
    """Return a JSON and a MessagePack frame of a good event and one with this many strings, too deep for any Python."""
    text = b'{"a":' + b"[" * 20_000 + b'"",' * count + b'""' + b"]" * 20_000 + b"}"
    binary = b"\x81\xa1a" + b"\x91" * 20_000 + b"\xdd" + (count + 1).to_bytes(4) + b"\xa1a" * (count + 1)
    return json_frame(json_event("a"), json_event("b", text)), msgpack_frame(
        msgpack_event("a"), msgpack_event("b", binary)
    )


def test_a_deep_frame_of_few_strings_is_repaired_and_one_of_many_refused_whole() -> None:
    limits = Limits(containers=50_000)
    for codec, short, long in zip((JSON, MSGPACK), deep_of_strings(1000), deep_of_strings(200_000), strict=True):
        assert outcome(codec.decode_publisher(short, limits)) == ["a", ("b", ErrorCode.INVALID_EVENT)]
        with pytest.raises(InvalidMessage, match="deeper"):
            codec.decode_publisher(long, limits)


def test_a_frame_of_few_lone_surrogates_is_repaired_and_one_of_many_refused_whole() -> None:
    def frame(count: int) -> bytes:
        return json_frame(json_event("a"), json_event("b", b'{"t":"%s"}' % (b"\\ud800" * count)))

    assert outcome(JSON.decode_publisher(frame(200), FEW)) == ["a", ("b", ErrorCode.INVALID_EVENT)]
    with pytest.raises(InvalidJson):
        JSON.decode_publisher(frame(201), FEW)


def test_malformed_json_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turnwire.protocol.codec.decode_salvaging", None)
    with pytest.raises(InvalidJson, match="malformed"):
        JSON.decode_publisher(json_frame(json_event("a"))[:-1] + b",}", FEW)
