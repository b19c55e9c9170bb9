"""Frames that a decoder refuses as a whole, too deep or with lone surrogates: only the bad event is refused."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.protocol.raw_frames import (
    deep_json,
    deep_msgpack,
    json_event,
    json_frame,
    msgpack_event,
    msgpack_frame,
    outcome,
)
from turnwire.protocol.codec import JSON, MSGPACK, Batch
from turnwire.protocol.errors import ErrorCode, TurnwireError
from turnwire.protocol.messages import BadEvent, EventIn, Limits, Subscribe
from turnwire.protocol.salvage import mark_lone_surrogates, prune_deep_json, prune_deep_msgpack

LIMITS = Limits(containers=0)
DEPTHS = [70, 200, 900, 970, 985, 990, 995, 999, 1000, 1005, 2000, 30_000]
"""Depths of a payload over the limit, around and beyond what the decoder can handle."""


REFUSED = [("deep", ErrorCode.INVALID_EVENT)]


# --- depth -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", DEPTHS)
def test_an_event_that_is_too_deep_is_refused_and_the_others_are_accepted(levels: int) -> None:
    frame = json_frame(json_event("a"), json_event("deep", deep_json(levels)), json_event("z"))
    assert outcome(JSON.decode_publisher(frame, LIMITS)) == ["a", *REFUSED, "z"]
    frame = msgpack_frame(msgpack_event("a"), msgpack_event("deep", deep_msgpack(levels)), msgpack_event("z"))
    assert outcome(MSGPACK.decode_publisher(frame, LIMITS)) == ["a", *REFUSED, "z"]


@pytest.mark.parametrize("levels", DEPTHS)
def test_the_error_of_a_deep_event_names_the_limit_however_deep_it_is(levels: int) -> None:
    batch = JSON.decode_publisher(json_frame(json_event("deep", deep_json(levels))), LIMITS)
    assert isinstance(batch, Batch)
    (found,) = batch.events
    assert isinstance(found, BadEvent)
    assert "64" in found.message


def test_an_event_that_is_too_large_as_well_as_too_deep_is_refused() -> None:
    frame = json_frame(json_event("a"), json_event("deep", deep_json(200_000)), json_event("z"))
    assert outcome(JSON.decode_publisher(frame, LIMITS)) == ["a", ("deep", ErrorCode.TOO_LARGE), "z"]
    frame = msgpack_frame(msgpack_event("a"), msgpack_event("deep", deep_msgpack(200_000)), msgpack_event("z"))
    assert outcome(MSGPACK.decode_publisher(frame, LIMITS)) == ["a", *REFUSED, "z"]


def test_an_event_of_exactly_the_depth_limit_is_accepted_beside_one_far_too_deep() -> None:
    frame = json_frame(json_event("a", deep_json(64)), json_event("deep", deep_json(2000)), json_event("b", b"[]"))
    assert outcome(JSON.decode_publisher(frame, LIMITS)) == ["a", *REFUSED, ("b", ErrorCode.INVALID_EVENT)]
    frame = msgpack_frame(msgpack_event("a", deep_msgpack(64)), msgpack_event("deep", deep_msgpack(2000)))
    assert outcome(MSGPACK.decode_publisher(frame, LIMITS)) == ["a", *REFUSED]


@pytest.mark.parametrize("levels", [65, 2000])
def test_a_deep_event_after_another_bad_one_is_still_refused_alone(levels: int) -> None:
    frame = json_frame(json_event("t", b"5"), json_event("deep", deep_json(levels)), json_event("z"))
    assert outcome(JSON.decode_publisher(frame, LIMITS)) == [("t", ErrorCode.INVALID_EVENT), *REFUSED, "z"]
    frame = msgpack_frame(msgpack_event("t", b"\x05"), msgpack_event("deep", deep_msgpack(levels)), msgpack_event("z"))
    assert outcome(MSGPACK.decode_publisher(frame, LIMITS)) == [("t", ErrorCode.INVALID_EVENT), *REFUSED, "z"]


def test_depth_in_an_ignored_field_does_not_matter() -> None:
    deep = deep_json(5000)
    frame = b'{"x":%s,"type":"append","y":%s,"events":[{"z":%s,"eventId":"a","type":"system","payload":{}}]}'
    assert outcome(JSON.decode_publisher(frame % (deep, deep, deep), LIMITS)) == ["a"]
    assert isinstance(JSON.decode_subscriber(b'{"type":"subscribe","ref":"a","x":%s}' % deep, LIMITS), Subscribe)


def test_the_size_of_a_pruned_event_includes_what_was_cut() -> None:
    large = b'{"z":%s,"eventId":"deep","type":"system","payload":{}}' % deep_json(70_000)
    assert outcome(JSON.decode_publisher(json_frame(json_event("a"), large), LIMITS)) == [
        "a",
        ("deep", ErrorCode.TOO_LARGE),
    ]


def test_a_message_other_than_an_append_that_is_too_deep_is_refused() -> None:
    for deep in (deep_json(65), deep_json(3000)):
        with pytest.raises(TurnwireError, match="64"):
            JSON.decode_publisher(b'{"type":"signal","key":"k","payload":%s}' % deep, LIMITS)
    for levels in (65, 3000):
        frame = b"\x83\xa4type\xa6signal\xa3key\xa1k\xa7payload" + deep_msgpack(levels)
        with pytest.raises(TurnwireError, match="64"):
            MSGPACK.decode_publisher(frame, LIMITS)


@pytest.mark.parametrize("deep", [b"[" * 5000, b'{"a":' * 5000, deep_json(5000)[:-1], b"[" * 300_000 + b"]"])
def test_a_truncated_deep_json_frame_is_an_error(deep: bytes) -> None:
    for frame in (deep, b'{"type":"append","events":[' + json_event("a") + b"," + deep):
        with pytest.raises(TurnwireError):
            JSON.decode_publisher(frame, LIMITS)


@pytest.mark.parametrize(
    "deep", [b"\x91" * 5000, b"\x81\xa1a" * 5000, b"\xdd\xff\xff\xff\xff" * 5000, b"\x91" * 300_000]
)
def test_a_truncated_deep_messagepack_frame_is_an_error(deep: bytes) -> None:
    for frame in (deep, msgpack_frame(msgpack_event("a"), msgpack_event("b"))[:-1] + deep):
        with pytest.raises(TurnwireError):
            MSGPACK.decode_publisher(frame, LIMITS)


def test_a_deep_rest_body_is_refused_with_the_limit() -> None:
    for levels in (65, 2000):
        with pytest.raises(TurnwireError, match="64"):
            JSON.decode_events_body(json_event("e", deep_json(levels)), LIMITS)
        with pytest.raises(TurnwireError, match=r"events\[1\].*64"):
            JSON.decode_events_body(
                b'{"events":[%s,%s]}' % (json_event("a"), json_event("e", deep_json(levels))), LIMITS
            )


# --- lone surrogates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [rb"\ud83d", rb"\uDE00", rb"\ud83d\ud83d", rb"a\uD83Db", rb"\\\ud83d", rb"\ud83d\n"])
def test_an_event_with_a_lone_surrogate_is_refused_and_the_others_are_accepted(wrong: bytes) -> None:
    fine = rb'{"t":"\ud83d\ude00 \\ud83d \n"}'
    frame = json_frame(json_event("a", fine), json_event("deep", b'{"t":"%s"}' % wrong), json_event("z", fine))
    batch = JSON.decode_publisher(frame, LIMITS)
    assert outcome(batch) == ["a", *REFUSED, "z"]
    assert isinstance(batch, Batch)
    assert isinstance(batch.events[0], EventIn)
    assert batch.events[0].payload == {"t": "😀 \\ud83d \n"}


def test_lone_surrogates_and_depth_in_one_frame_are_refused_each_in_its_place() -> None:
    surrogate, deep = json_event("deep", rb'{"t":"\ud83d"}'), json_event("deep", deep_json(3000))
    for events in ([surrogate, deep], [deep, surrogate], [json_event("deep", b"5"), deep, surrogate]):
        frame = json_frame(*events, json_event("z"))
        assert outcome(JSON.decode_publisher(frame, LIMITS)) == [*REFUSED * len(events), "z"]


def test_a_truncated_escape_stays_malformed() -> None:
    for wrong in (rb"\ud8", rb"\ud83", rb"\u", rb"\ud8zz", rb"\uzzzz", rb"\ud83d\ud"):
        with pytest.raises(TurnwireError) as caught:
            JSON.decode_publisher(json_frame(json_event("a", b'{"t":"%s"}' % wrong)), LIMITS)
        assert caught.value.code is ErrorCode.INVALID_JSON


def test_marking_lone_surrogates_keeps_pairs_and_length() -> None:
    text = rb'["\ud83d\ude00","\\ud83d","\ud83d","\ude00\ud83d"]'
    marked = mark_lone_surrogates(text)
    assert len(marked) == len(text)
    assert marked == b'["\\ud83d\\ude00","\\\\ud83d","' + b"\xff" * 6 + b'","' + b"\xff" * 12 + b'"]'


# --- pruning ---------------------------------------------------------------------------------------------------------


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((depth_of(item) for item in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth_of(item) for item in value), default=0)
    return 0


@pytest.mark.parametrize(
    ("text", "pruned"),
    [
        (b"[[[1]]]", b"[[0  ]]"),
        (b"[[[]]]", b"[[0 ]]"),
        (b'[[[1],{"a":[]}],[2]]', b"[[0  ,0       ],[2]]"),
        (b'[["]]]]",["[["]],"\\"[["]', b'[["]]]]",0     ],"\\"[["]'),
        (b"[[1]]", b"[[1]]"),
        (b"[[[1", b"[[0"),
        (b"]]]]", b"]]]]"),
        (b'"\\', b'"\\'),
        (b"", b""),
    ],
)
def test_pruning_json_replaces_deeper_values_with_zero(text: bytes, pruned: bytes) -> None:
    assert prune_deep_json(text, 2) == pruned


def test_pruning_messagepack_replaces_deeper_values_with_nil() -> None:
    value = [[[1, [2]], {"a": {"b": [3]}}], "x", [4]]
    pruned = msgspec.msgpack.decode(prune_deep_msgpack(msgspec.msgpack.encode(value), 2))
    assert pruned == [[None, None], "x", [4]]


def test_pruning_messagepack_reads_over_values_of_every_kind() -> None:
    scalars = [
        b"\x00", b"\x7f", b"\xe0", b"\xff", b"\xc0", b"\xc2", b"\xc3", b"\xa0", b"\xa2\x91\x91", b"\xbf" + b"\x91" * 31,
        b"\xc4\x02\x91\x91", b"\xc5\x00\x02\x91\x91", b"\xc6\x00\x00\x00\x02\x91\x91",
        b"\xc7\x02\x05\x91\x91", b"\xc8\x00\x02\x05\x91\x91", b"\xc9\x00\x00\x00\x02\x05\x91\x91",
        b"\xca\x91\x91\x91\x91", b"\xcb" + b"\x91" * 8, b"\xcc\x91", b"\xcd\x91\x91", b"\xce" + b"\x91" * 4,
        b"\xcf" + b"\x91" * 8, b"\xd0\x91", b"\xd1\x91\x91", b"\xd2" + b"\x91" * 4, b"\xd3" + b"\x91" * 8,
        b"\xd4\x05\x91", b"\xd5\x05\x91\x91", b"\xd6\x05" + b"\x91" * 4, b"\xd7\x05" + b"\x91" * 8,
        b"\xd8\x05" + b"\x91" * 16, b"\xd9\x02\x91\x91", b"\xda\x00\x02\x91\x91", b"\xdb\x00\x00\x00\x02\x91\x91",
    ]  # fmt: skip
    for scalar in scalars:
        value = b"\x93" + scalar + b"\x92\xdc\x00\x01\x91\x01" + scalar + scalar
        assert prune_deep_msgpack(value, 2) == b"\x93" + scalar + b"\x92\xc0" + scalar + scalar
        assert prune_deep_msgpack(value, 9) == value
    maps = b"\xdf\x00\x00\x00\x01\xa1a\xde\x00\x01\xa1b\xdd\x00\x00\x00\x01\x07"
    assert prune_deep_msgpack(maps, 2) == b"\xdf\x00\x00\x00\x01\xa1a\xde\x00\x01\xa1b\xc0"


@pytest.mark.parametrize("levels", [1, 3, 80, 81, 82, 200, 5000])
def test_pruned_json_has_at_most_the_kept_levels(levels: int) -> None:
    assert depth_of(json.loads(prune_deep_json(deep_json(levels), 80))) <= 80
    assert depth_of(msgspec.msgpack.decode(prune_deep_msgpack(deep_msgpack(levels), 80))) <= 81  # [] is kept
