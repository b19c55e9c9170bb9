"""A timestamp with more digits than a clock has is cut, never rounded up into the next second or year."""

from __future__ import annotations

from struct import pack

import pytest
from msgspec.msgpack import Ext

from turnwire.protocol.bodies import CreateSession
from turnwire.protocol.codec import CODECS, JSON, MSGPACK, Batch, Codec
from turnwire.protocol.errors import InvalidJson, InvalidMessage
from turnwire.protocol.messages import BadEvent, Limits
from turnwire.protocol.past_calls.lines import PastSession
from turnwire.protocol.times import format_time, to_millis, to_utc

LIMITS = Limits()
CASES = [
    ("2025-12-31T23:59:59.9999999Z", "2025-12-31T23:59:59.999Z"),
    ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999Z"),
    ("2025-01-01T00:00:00.1239999999+02:00", "2024-12-31T22:00:00.123Z"),
    ("2025-01-01T00:00:00.1234567899Z", "2025-01-01T00:00:00.123Z"),
]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize(("sent", "kept"), CASES)
def test_a_timestamp_with_many_digits_is_cut_in_a_frame(codec: Codec, sent: str, kept: str) -> None:
    payload = {"timestamp": sent, "n": 1}
    events = [
        {"eventId": "a", "type": "system", "payload": payload, "timestamp": sent},
        {"eventId": "b", "type": "system", "payload": {}},
    ]
    batch = codec.decode_publisher(codec.encode_value({"type": "append", "events": events}), LIMITS)
    assert isinstance(batch, Batch)
    first, second = batch.events
    assert not isinstance(first, BadEvent)
    assert not isinstance(second, BadEvent)
    assert first.timestamp is not None
    assert (format_time(first.timestamp), first.payload, second.timestamp) == (kept, payload, None)


SECOND = 1_735_689_600
"""2025-01-01T00:00:00Z"""


@pytest.mark.parametrize("nanoseconds", [0, 123_499_999, 123_999_499, 123_999_500, 999_999_999])
@pytest.mark.parametrize("before_1970", [False, True])
def test_nanoseconds_of_a_packed_timestamp_are_cut(nanoseconds: int, before_1970: bool) -> None:
    packed = pack(">Iq", nanoseconds, -SECOND) if before_1970 else pack(">Q", nanoseconds << 34 | SECOND)
    payload = {"n": 0x1FFFFFFF << 34}
    events = [{"eventId": "a", "type": "system", "payload": payload, "timestamp": Ext(-1, packed)}]
    batch = MSGPACK.decode_publisher(MSGPACK.encode_value({"type": "append", "events": events}), LIMITS)
    assert isinstance(batch, Batch)
    (event,) = batch.events
    assert not isinstance(event, BadEvent)
    assert event.timestamp is not None
    assert to_millis(event.timestamp) == (-SECOND if before_1970 else SECOND) * 1000 + nanoseconds // 1_000_000
    assert event.payload == payload


@pytest.mark.parametrize(("sent", "kept"), CASES)
def test_a_timestamp_with_many_digits_is_cut_in_a_body(sent: str, kept: str) -> None:
    body = JSON.encode_value({"eventId": "a", "type": "system", "payload": {}, "timestamp": sent})
    (event,), _ = JSON.decode_events_body(body, LIMITS)
    assert event.timestamp is not None
    assert format_time(event.timestamp) == kept


@pytest.mark.parametrize(("sent", "kept"), CASES)
def test_the_times_of_a_session_with_many_digits_are_cut(sent: str, kept: str) -> None:
    fields = {"sessionId": sent, "language": sent, "startedAt": sent, "endedAt": sent, "metadata": {"startedAt": sent}}
    made = JSON.decode_body(JSON.encode_value(fields), CreateSession, LIMITS)
    past = JSON.decode_body(JSON.encode_value(fields), PastSession, LIMITS)
    assert (made.session_id, made.language, made.metadata) == (sent, sent, {"startedAt": sent})
    times = [made.started_at, past.started_at, past.ended_at]
    assert [moment and format_time(to_utc(moment)) for moment in times] == [kept] * 3


@pytest.mark.parametrize(
    "wrong", [b'{"startedAt":"x.1239999"}', b'{"startedAt":12.3459999}', b'["2.1239999"]', b"{.1239999"]
)
def test_a_body_with_many_digits_that_is_not_a_session_is_refused(wrong: bytes) -> None:
    with pytest.raises((InvalidJson, InvalidMessage)):
        JSON.decode_body(wrong, CreateSession, LIMITS)


def test_text_with_many_digits_that_is_not_a_time_is_refused() -> None:
    event = {"eventId": "a", "type": "system", "payload": {}, "timestamp": "12.3459999999"}
    batch = JSON.decode_publisher(JSON.encode_value({"type": "append", "events": [event]}), LIMITS)
    assert isinstance(batch, Batch)
    assert isinstance(batch.events[0], BadEvent)
