"""Whatever bytes arrive: the codec raises only protocol errors, and a bad event fails alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.wire_values import encode, good_events, hostile_events, is_json, json_values, mutated, search
from turnwire.protocol.codec import JSON, MSGPACK, Batch, Codec
from turnwire.protocol.errors import MESSAGE_CHARS, ErrorCode, TurnwireError
from turnwire.protocol.messages import BadEvent, EventIn, Limits, Nack, NackItem
from turnwire.protocol.rules import check_event, check_signal
from turnwire.protocol.times import format_time, to_utc

pytestmark = pytest.mark.property
both = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])
LIMITS = Limits()
TIGHT = Limits(id_chars=8, event_bytes=200, depth=3, batch_events=4)


def append(events: list[Any]) -> dict[str, Any]:
    return {"type": "append", "events": events}


def outcome(read: Callable[[bytes, Limits], object], frame: bytes, limits: Limits) -> object:
    """Return the protocol error, or what was decoded. Any other error propagates."""
    try:
        return read(frame, limits)
    except TurnwireError as error:
        return error


def read_everything(codec: Codec, frame: bytes, limits: Limits) -> None:
    """Check that what was not refused can be stored and sent on."""
    for decode in (codec.decode_publisher, codec.decode_subscriber, codec.decode_events_body):
        result = outcome(decode, frame, limits)
        if isinstance(result, TurnwireError):
            assert len(result.message) <= MESSAGE_CHARS
            result.message.encode()
        else:
            use(codec, result, limits)
    codec.ref_of(frame, limits)


def use(codec: Codec, result: object, limits: Limits) -> None:
    if isinstance(result, tuple):
        result = Batch(result[0])
    if isinstance(result, Batch):
        for event in result.events:
            use_event(codec, event, limits)
    else:
        codec.encode(result)  # type: ignore[arg-type]


def use_event(codec: Codec, event: EventIn | BadEvent, limits: Limits) -> None:
    if isinstance(event, BadEvent):
        assert event.code in (ErrorCode.INVALID_EVENT, ErrorCode.TOO_LARGE)
        codec.encode(Nack([NackItem(event.event_id, event.code, event.message, False)]))
        return
    check_event(event, limits)
    assert is_json(event.payload, limits.depth)
    assert type(event) is EventIn
    JSON.encode(event)
    MSGPACK.encode(event)
    if event.timestamp is not None:
        format_time(to_utc(event.timestamp))


@both
@pytest.mark.parametrize("limits", [LIMITS, TIGHT], ids=["default", "tight"])
@search(30)
@given(data=st.data())
def test_decoding_any_bytes_raises_only_protocol_errors(codec: Codec, limits: Limits, data: st.DataObject) -> None:
    frames = st.builds(encode, st.just(codec), st.lists(hostile_events(codec) | good_events(), max_size=4).map(append))
    frame = data.draw(st.binary(max_size=60) | frames | mutated(frames))
    read_everything(codec, frame, limits)


COMMANDS = ["append", "signal", "complete", "ping", "subscribe", "unsubscribe", "other"]


@both
@search(30)
@given(data=st.data())
def test_decoding_any_message_raises_only_protocol_errors(codec: Codec, data: st.DataObject) -> None:
    fields = ["events", "key", "payload", "status", "reason", "ref", "sessionId", "afterSeq", "feed"]
    anything = json_values | hostile_events(codec)
    message = data.draw(st.dictionaries(st.sampled_from(fields), anything))
    message["type"] = data.draw(st.sampled_from(COMMANDS) | json_values)
    read_everything(codec, encode(codec, message), LIMITS)


@both
@search(40)
@given(data=st.data())
def test_the_good_events_of_a_frame_are_accepted_whatever_is_beside_them(codec: Codec, data: st.DataObject) -> None:
    good = data.draw(st.lists(good_events(), min_size=1, max_size=3))
    events: list[tuple[Any, bool]] = [(event, True) for event in good]
    for event in data.draw(st.lists(hostile_events(codec), max_size=3)):
        events.insert(data.draw(st.integers(0, len(events))), (event, False))
    batch = codec.decode_publisher(encode(codec, append([event for event, _ in events])), LIMITS)
    assert isinstance(batch, Batch)
    assert len(batch.events) == len(events)
    for found, (sent, is_good) in zip(batch.events, events, strict=True):
        if is_good:
            assert isinstance(found, EventIn)
            assert found.event_id == sent["eventId"]
            assert repr(found.payload) == repr(sent["payload"])


@both
@pytest.mark.parametrize("limits", [LIMITS, TIGHT], ids=["default", "tight"])
@search(40)
@given(data=st.data())
def test_an_event_is_decoded_in_a_frame_as_it_is_alone(codec: Codec, limits: Limits, data: st.DataObject) -> None:
    """The fast paths through a frame are exact: they accept and refuse what the full check of each event does."""
    sent = data.draw(st.lists(hostile_events(codec) | good_events(), min_size=1, max_size=4))
    batch = codec.decode_publisher(encode(codec, append(sent)), limits)
    assert isinstance(batch, Batch)
    for found, event in zip(batch.events, sent, strict=True):
        alone = outcome(codec.decode_events_body, encode(codec, {"events": [event]}), limits)
        if isinstance(found, BadEvent):
            assert isinstance(alone, TurnwireError)
            assert alone.code == found.code
            assert alone.message.startswith(f"events[0]: {found.message}"[: MESSAGE_CHARS - 1])
        else:
            assert repr(alone) == repr(([found], True))


@search(30)
@given(signal=st.fixed_dictionaries({"type": st.just("signal"), "key": st.text(max_size=5), "payload": json_values}))
def test_an_accepted_signal_can_be_sent_in_both_formats(signal: dict[str, Any]) -> None:
    for codec in (JSON, MSGPACK):
        frame = encode(codec, signal)
        try:
            taken = codec.decode_publisher(frame, LIMITS)
        except TurnwireError:
            continue
        check_signal(taken, len(frame), LIMITS)  # type: ignore[arg-type]
        assert JSON.encode(taken)  # type: ignore[arg-type]
        assert MSGPACK.encode(taken)  # type: ignore[arg-type]
