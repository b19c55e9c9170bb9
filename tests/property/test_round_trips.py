"""Every message comes back as it was sent, from either format."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from tests.property.wire_values import ids, is_json, json_objects, json_values, moments, search, types
from turnwire.protocol.codec import JSON, MSGPACK, Batch, Codec
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.messages import (
    Ack,
    AckItem,
    Append,
    CaughtUp,
    Complete,
    Completed,
    Erased,
    Error,
    Event,
    EventIn,
    Events,
    Goaway,
    Interruptions,
    LastLine,
    Limits,
    Nack,
    NackItem,
    Opened,
    OpenedLimits,
    Ping,
    Pong,
    Session,
    SessionPush,
    SessionsPush,
    Signal,
    SignalPush,
    Subscribe,
    Subscribed,
    Summary,
    Unsubscribe,
    Unsubscribed,
)
from turnwire.protocol.times import cut_to_millis, format_time, parse_time

pytestmark = pytest.mark.property
LIMITS = Limits()

payloads = json_objects.filter(lambda value: is_json(value, LIMITS.depth))
times = st.datetimes(timezones=st.just(UTC)).map(format_time)
seqs = st.integers(0, 2**53)
refs = st.text(min_size=1, max_size=8)
statuses: st.SearchStrategy[Any] = st.sampled_from(["initiated", "active", "completed", "failed"])
final_statuses: st.SearchStrategy[Any] = st.sampled_from(["completed", "failed"])
codes = st.sampled_from(ErrorCode)
sessions = st.builds(
    Session, ids, statuses, ids, times, st.none() | times, payloads, seqs, st.none() | times, st.none() | ids
)
sides: st.SearchStrategy[Any] = st.sampled_from(["user", "bot"])
last_lines = st.builds(LastLine, seqs, sides, st.text(), st.booleans(), st.none() | seqs)
summaries = st.builds(
    Summary,
    through_seq=seqs,
    turns=seqs,
    last_line=st.none() | last_lines,
    response_ms=st.none() | seqs,
    interruptions=st.builds(Interruptions, seqs, seqs),
    tools_running=seqs,
    tools_failed=seqs,
    errors=seqs,
)
events = st.builds(Event, ids, ids, types, payloads, times, seqs)


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC).replace(fold=0)
    except OverflowError:
        return datetime(2025, 12, 21, tzinfo=UTC)


in_events = st.builds(EventIn, ids, types, payloads, st.none() | moments.map(_utc))

publisher_commands = st.one_of(
    st.lists(in_events, min_size=1, max_size=4).map(Append),
    st.builds(Signal, ids, payloads),
    st.builds(Complete, final_statuses, st.none() | ids),
    st.just(Ping()),
)
subscriber_commands = st.one_of(
    st.builds(Subscribe, refs, ids, st.none() | seqs),
    st.builds(
        Subscribe, refs, feed=st.just("sessions"), status=st.none() | st.lists(statuses), summaries=st.booleans()
    ),
    st.builds(Unsubscribe, refs),
    st.just(Ping()),
)
common = st.one_of(
    st.just(Pong()),
    st.builds(Error, codes, st.text(), st.booleans(), st.none() | refs),
    st.builds(Goaway, st.text(), st.integers(0, 10**9)),
)
publisher_replies = common | st.one_of(
    st.builds(Opened, sessions, seqs, seqs, st.none() | ids, st.builds(OpenedLimits, seqs, seqs, seqs), times),
    st.lists(st.builds(AckItem, ids, seqs, st.booleans()), max_size=4).map(Ack),
    st.lists(st.builds(NackItem, st.none() | ids, codes, st.text(), st.booleans()), max_size=4).map(Nack),
    sessions.map(Completed),
)
subscriber_pushes = common | st.one_of(
    st.builds(Subscribed, refs, st.none() | sessions, st.just(UNSET) | seqs),
    st.builds(Events, refs, ids, st.lists(events, max_size=4)),
    st.builds(CaughtUp, refs, seqs),
    st.builds(SignalPush, refs, ids, ids, payloads),
    st.builds(SessionPush, refs, sessions, st.just(UNSET) | summaries),
    st.builds(
        SessionsPush, refs, st.lists(sessions, max_size=3), st.just(UNSET) | st.dictionaries(ids, summaries, max_size=2)
    ),
    st.builds(Unsubscribed, refs),
    st.builds(Erased, refs, refs),
)
both = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])


@both
@search(30)
@given(command=publisher_commands)
def test_any_message_of_a_publisher_survives_encoding_and_decoding(codec: Codec, command: Any) -> None:
    found = codec.decode_publisher(codec.encode(command), LIMITS)
    if isinstance(command, Append):
        for event in command.events:
            event.timestamp = event.timestamp and cut_to_millis(event.timestamp)
    assert repr(found) == repr(Batch(list(command.events)) if isinstance(command, Append) else command)


@both
@search(30)
@given(command=subscriber_commands)
def test_any_message_of_a_subscriber_survives_encoding_and_decoding(codec: Codec, command: Any) -> None:
    assert codec.decode_subscriber(codec.encode(command), LIMITS) == command


@both
@search(30)
@given(reply=publisher_replies)
def test_any_message_to_a_publisher_survives_encoding_and_decoding(codec: Codec, reply: Any) -> None:
    assert repr(codec.decode_publisher_reply(codec.encode(reply))) == repr(reply)


@both
@search(30)
@given(push=subscriber_pushes)
def test_any_message_to_a_subscriber_survives_encoding_and_decoding(codec: Codec, push: Any) -> None:
    assert repr(codec.decode_subscriber_push(codec.encode(push))) == repr(push)


@both
@search(30)
@given(ref=json_values.filter(lambda value: is_json(value, LIMITS.depth)))
def test_the_ref_of_a_ping_comes_back_in_its_pong(codec: Codec, ref: object) -> None:
    encoded = codec.encode_value(ref)
    ping = codec.decode_publisher(codec.encode(Ping(Raw(encoded))), LIMITS)
    assert isinstance(ping, Ping)
    pong = codec.decode_publisher_reply(codec.encode(Pong(ping.ref)))
    assert isinstance(pong, Pong)
    assert isinstance(pong.ref, Raw)
    assert bytes(pong.ref) == encoded


@both
@search(30)
@given(event=events)
def test_any_stored_event_survives_encoding_and_decoding(codec: Codec, event: Event) -> None:
    assert repr(codec.decode_event(codec.encode_value(event))) == repr(event)


@search(100)
@given(moment=st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_cut_to_milliseconds_once(moment: datetime) -> None:
    text = format_time(moment)
    assert timedelta(0) <= moment - parse_time(text) < timedelta(milliseconds=1)
    assert format_time(parse_time(text)) == text
