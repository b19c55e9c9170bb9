"""Every message of the protocol, byte for byte, in both subprotocols.

`golden/<name>.json` is the text frame and a newline. `golden/<name>.msgpack.hex` is the binary frame, 16 bytes a line,
with its printable characters. Change such a file by hand, on purpose, and only when the protocol changes: clients of
this version are in use. A failing assertion shows the whole text to compare.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from msgspec import DecodeError, Raw

from turnwire.protocol.codec import JSON, MSGPACK, Batch, Codec
from turnwire.protocol.control.messages import Accept, CommandPush, CommandResult, CommandStatePush, SendCommand
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
    Message,
    Nack,
    NackItem,
    Opened,
    OpenedLimits,
    Ping,
    Pong,
    PublisherCommand,
    PublisherReply,
    Session,
    SessionFigures,
    SessionPush,
    SessionsPush,
    Shape,
    Signal,
    SignalPush,
    Subscribe,
    Subscribed,
    SubscriberCommand,
    SubscriberPush,
    Summary,
    Unsubscribe,
    Unsubscribed,
)
from turnwire.protocol.token_messages import Auth, Authenticated, Expiring

GOLDEN = Path(__file__).parent / "golden"
NOW = "2025-12-21T10:30:00.000Z"
LATER = "2025-12-21T10:30:02.500Z"
LIVE = Session("call-7", "active", "en", NOW, None, {"caller": "+49 30 901820"}, 2, LATER, None)
FIGURES = SessionFigures(
    turns=2,
    response_p50_ms=850,
    response_p95_ms=850,
    missed=0,
    interruptions=Interruptions(1, 0),
    tools_failed=0,
    errors=0,
    duration_ms=3140,
    talk_ms=1940,
    last_line=LastLine(2, "bot", "Hello!", interrupted=True, duration_ms=640),
)
ENDED = Session("call-7", "completed", "en", NOW, "2025-12-21T10:31:00.000Z", {}, 2, LATER, "hangup", FIGURES)
FRESH = Session("call-8", "initiated", "de", NOW)
HELLO = Event("e1", "call-7", "user_speech", {"text": "Grüezi 😀", "confidence": 0.93}, NOW, 1)
REPLY = Event("e2", "call-7", "bot_speech", {"text": "Hello!", "turn": {"n": 1, "final": True, "via": None}}, LATER, 2)
SUMMARY = Summary(
    through_seq=2,
    turns=2,
    last_line=LastLine(2, "bot", "Hello!", interrupted=False, duration_ms=640),
    response_ms=850,
    interruptions=Interruptions(1, 0),
    tools_running=1,
    tools_failed=0,
    errors=0,
)

OPENED_LIMITS = OpenedLimits(256, 131_072, 1_048_576, 500, min_receive_bytes=802_816)
PUBLISHER_SENDS: dict[str, Shape] = {
    "append": Append(
        [
            EventIn("e1", "user_speech", HELLO.payload, datetime(2025, 12, 21, 10, 30, tzinfo=UTC)),
            EventIn("e2", "bot_speech", REPLY.payload),
        ]
    ),
    "signal": Signal("interim", {"text": "Grüe"}),
    "complete": Complete("completed", "hangup"),
    "ping": Ping(),
    "accept": Accept(["whisper", "say", "end"]),
    "command_result": CommandResult("cmd-1", "refused", "the caller has hung up"),
    "auth": Auth("eyJhbGciOiJIUzI1NiJ9.e30.c2ln"),
}
PUBLISHER_GETS: dict[str, Shape] = {
    "opened": Opened(LIVE, 3, 2, "e2", OPENED_LIMITS, LATER),
    "opened_empty": Opened(FRESH, 1, 0, None, OPENED_LIMITS, NOW),
    "ack": Ack([AckItem("e2", 2), AckItem("e1", 1, duplicate=True)]),
    "nack": Nack(
        [
            NackItem(
                "e3", ErrorCode.EVENT_CONFLICT, "event 'e3' is stored already with another type or payload", False
            ),
            NackItem(None, ErrorCode.INVALID_EVENT, "eventId must have 1 to 256 characters, has 0", False),
        ]
    ),
    "completed": Completed(ENDED),
    "pong": Pong(),
    "error": Error(ErrorCode.INVALID_MESSAGE, "events must hold 1 to 500 events, holds 0", False),
    "goaway": Goaway("restart", 500),
    "expiring": Expiring(LATER),
    "authenticated": Authenticated(LATER),
    "command": CommandPush("cmd-1", "whisper", {"text": "Offer 10 %."}, "ada", LATER),
}
SUBSCRIBER_SENDS: dict[str, Shape] = {
    "subscribe": Subscribe("a", "call-7", 0),
    "subscribe_live": Subscribe("a", "call-7"),
    "subscribe_feed": Subscribe("f", feed="sessions", status=["initiated", "active"]),
    "subscribe_summaries": Subscribe("f", feed="sessions", summaries=True),
    "unsubscribe": Unsubscribe("a"),
    "send_command": SendCommand("c", "call-7", "cmd-1", "whisper", {"text": "Offer 10 %."}),
}
SUBSCRIBER_GETS: dict[str, Shape] = {
    "subscribed": Subscribed("a", LIVE, 2, 802_816),
    "subscribed_feed": Subscribed("f", min_receive_bytes=802_816),
    "events": Events("a", "call-7", [HELLO, REPLY]),
    "caught_up": CaughtUp("a", 2),
    "signal_push": SignalPush("a", "call-7", "interim", {"text": "Grüe"}),
    "session": SessionPush("a", ENDED),
    "sessions": SessionsPush("f", [FRESH, LIVE]),
    "session_summary": SessionPush("f", LIVE, SUMMARY),
    "sessions_summaries": SessionsPush("f", [LIVE, FRESH], {"call-7": SUMMARY}),
    "erased": Erased("f", "call-7"),
    "unsubscribed": Unsubscribed("a"),
    "command_state": CommandStatePush("c", "cmd-1", "requested"),
    "command_state_message": CommandStatePush("c", "cmd-1", "refused", "the caller has hung up"),
    "error_ref": Error(ErrorCode.NOT_FOUND, "Session x not found", False, "b"),
}
BOTH_SEND = ("ping", "auth")
BOTH_GET = ("goaway", "expiring", "authenticated")
ALL = PUBLISHER_SENDS | PUBLISHER_GETS | SUBSCRIBER_SENDS | SUBSCRIBER_GETS
every = pytest.mark.parametrize("name", ALL)
LIMITS = Limits()


def golden_json(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes().removesuffix(b"\n")


def golden_msgpack(name: str) -> bytes:
    lines = (GOLDEN / f"{name}.msgpack.hex").read_text().splitlines()
    return bytes.fromhex("".join(line.partition(" |")[0] for line in lines))


def hex_dump(frame: bytes) -> str:
    rows = (frame[start : start + 16] for start in range(0, len(frame), 16))
    return "".join(f"{row.hex(' '):<47} |{''.join(_printable(byte) for byte in row)}|\n" for row in rows)


def _printable(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else "."


def decode(name: str, codec: Codec, frame: bytes) -> object:
    """Decode the frame as the side that receives such a message does."""
    if name in PUBLISHER_SENDS:
        return codec.decode_publisher(frame, LIMITS)
    if name in PUBLISHER_GETS:
        return codec.decode_publisher_reply(frame)
    if name in SUBSCRIBER_SENDS:
        return codec.decode_subscriber(frame, LIMITS)
    return codec.decode_subscriber_push(frame)


@every
def test_a_text_frame_has_exactly_these_bytes(name: str) -> None:
    assert JSON.encode(ALL[name]).decode() + "\n" == (GOLDEN / f"{name}.json").read_text(encoding="utf-8")


@every
def test_a_binary_frame_has_exactly_these_bytes(name: str) -> None:
    assert hex_dump(MSGPACK.encode(ALL[name])) == (GOLDEN / f"{name}.msgpack.hex").read_text()


@every
def test_both_frames_are_read_as_the_same_message(name: str) -> None:
    message = ALL[name]
    expected = Batch(list(message.events)) if isinstance(message, Append) else message
    assert decode(name, JSON, golden_json(name)) == expected
    assert decode(name, MSGPACK, golden_msgpack(name)) == expected


def test_every_message_of_the_protocol_has_a_golden_frame() -> None:
    for messages, union in (
        (PUBLISHER_SENDS, PublisherCommand | Auth),
        (PUBLISHER_GETS, PublisherReply),
        (SUBSCRIBER_SENDS | {name: PUBLISHER_SENDS[name] for name in BOTH_SEND}, SubscriberCommand | Auth),
        (SUBSCRIBER_GETS | {"pong": Pong(), **{name: PUBLISHER_GETS[name] for name in BOTH_GET}}, SubscriberPush),
    ):
        assert {type(message) for message in messages.values()} == set(get_args(union))
    assert {type(message) for message in ALL.values()} == set(get_args(Message | Auth))


def test_every_golden_frame_belongs_to_a_message() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {
        f"{name}{end}" for name in ALL for end in (".json", ".msgpack.hex")
    }


@pytest.mark.parametrize(
    ("ref", "json", "msgpack"),
    [
        (1, b'{"type":"pong","ref":1}', "82 a4 74797065 a4 706f6e67 a3 726566 01"),
        (["a", None], b'{"type":"pong","ref":["a",null]}', "82 a4 74797065 a4 706f6e67 a3 726566 92 a1 61 c0"),
    ],
)
def test_a_pong_carries_the_ref_of_its_ping(ref: object, json: bytes, msgpack: str) -> None:
    for codec, frame in ((JSON, json), (MSGPACK, bytes.fromhex(msgpack))):
        assert codec.encode(Pong(Raw(codec.encode_value(ref)))) == frame
        ping = codec.decode_publisher(frame.replace(b"pong", b"ping"), LIMITS)
        assert isinstance(ping, Ping)
        assert codec.encode(Pong(ping.ref)) == frame


@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])
def test_frames_built_from_encoded_parts_equal_frames_encoded_whole(codec: Codec) -> None:
    events = codec.encode_value([HELLO, REPLY])
    assert codec.events_frame("a", "call-7", events) == codec.encode(ALL["events"])
    assert codec.session_frame("a", codec.encode_value(ENDED)) == codec.encode(ALL["session"])
    session, summary = codec.encode_value(LIVE), codec.encode_value(SUMMARY)
    assert codec.session_frame("f", session, summary) == codec.encode(ALL["session_summary"])
    assert codec.sessions_frame("f", [session]) == codec.encode(SessionsPush("f", [LIVE]))
    summaries = {"call-7": SUMMARY}
    assert codec.sessions_frame("f", [session] * 2, summaries) == codec.encode(SessionsPush("f", [LIVE] * 2, summaries))
    payload = codec.encode_value({"text": "Grüe"})
    assert codec.signal_frame("a", "call-7", "interim", payload) == codec.encode(ALL["signal_push"])


def test_a_client_reads_a_frame_that_no_gateway_sends_as_an_error() -> None:
    for frame in (b"", b"{}", b"\xff", b'{"type":"ack"}', b'{"type":"new"}', b'{"type":"pong","ref":' + b"[" * 5000):
        for read in (JSON.decode_publisher_reply, JSON.decode_subscriber_push, JSON.decode_event):
            with pytest.raises(DecodeError):
                read(frame)
