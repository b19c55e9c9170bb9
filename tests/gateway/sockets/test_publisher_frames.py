"""What publisher and subscriber sockets do with frames that are large, odd or not messages at all."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import BINARY, CLOSE, TEXT, RawSocket, client_frame, publish_path, publisher, subscriber
from turnwire.protocol.codec import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK

MIB = 1024 * 1024
CONTINUATION = 0


def frame_of(size: int) -> bytes:
    """Return an append of exactly this many bytes, with events of 100,000 bytes each."""
    events = [new_event(f"e{n}", {"text": "x" * 100_000}) for n in range(size // 110_000)]
    frame = json.dumps({"type": "append", "events": events, "pad": ""}).encode()
    return frame[:-2] + b"p" * (size - len(frame)) + frame[-2:]


async def test_a_frame_of_exactly_the_size_limit_is_accepted(gateway: Gateway) -> None:
    bot = await publisher(gateway, new_id("s"))
    frame = frame_of(MIB)
    assert len(frame) == MIB
    await bot.ws.send_str(frame.decode())
    answers = await bot.answers(9)
    assert [answer["seq"] for answer in answers] == list(range(1, 10))


@pytest.mark.parametrize("over", [1, 8 * MIB])
async def test_a_frame_over_the_size_limit_closes_only_its_connection(gateway: Gateway, over: int) -> None:
    session_id = new_id("s")
    board = await subscriber(gateway)
    raw = await RawSocket.connect(gateway, publish_path(session_id, "en"))
    assert (await raw.receive())["type"] == "opened"
    await board.subscribe(session_id)
    await raw.write(client_frame(frame_of(MIB + over)))
    assert await raw.close_code() == 1009
    raw.close()
    assert await (await publisher(gateway, session_id)).acked("a") == [1]
    await board.events(1)


async def test_a_fragmented_message_over_the_size_limit_closes_its_connection(gateway: Gateway) -> None:
    raw = await RawSocket.connect(gateway, publish_path(new_id("s"), "en"))
    assert (await raw.receive())["type"] == "opened"
    await raw.write(client_frame(b"x" * (MIB // 2), fin=False))
    await raw.write(client_frame(b"x" * (MIB // 2 + 1), CONTINUATION, fin=False))
    assert await raw.close_code() == 1009
    raw.close()


async def test_a_fragmented_message_is_one_message(gateway: Gateway) -> None:
    raw = await RawSocket.connect(gateway, publish_path(new_id("s"), "en"))
    assert (await raw.receive())["type"] == "opened"
    message = json.dumps({"type": "append", "events": [new_event("ä")]}, ensure_ascii=False).encode()
    for start in range(0, len(message), 5):
        last = start + 5 >= len(message)
        await raw.write(client_frame(message[start : start + 5], CONTINUATION if start else TEXT, fin=last))
    assert (await raw.receive())["acks"] == [{"eventId": "ä", "seq": 1}]
    raw.close()


@pytest.mark.parametrize("path", ["/subscribe", publish_path("s", "en")])
@pytest.mark.parametrize(("protocol", "opcode"), [(SUBPROTOCOL_JSON, BINARY), (SUBPROTOCOL_MSGPACK, TEXT)])
async def test_a_frame_of_the_wrong_kind_closes_with_1003(
    gateway: Gateway, path: str, protocol: str, opcode: int
) -> None:
    raw = await RawSocket.connect(gateway, path, Sec_WebSocket_Protocol=protocol)
    await raw.write(client_frame(b"{}", opcode))
    assert await raw.close_code() == 1003
    raw.close()


@pytest.mark.parametrize("path", ["/subscribe", publish_path("s", "en")])
@pytest.mark.parametrize("text", [b'{"type":"ping","ref":"\xff"}', b"\xed\xa0\x80", b"\xc3"])
async def test_a_text_frame_that_is_not_utf8_closes_with_1007(gateway: Gateway, path: str, text: bytes) -> None:
    raw = await RawSocket.connect(gateway, path)
    await raw.write(client_frame(text))
    assert await raw.close_code() == 1007
    raw.close()


NO_MESSAGES = [
    ("", "invalid_json"),
    ("{", "invalid_json"),
    ('{"type":"ping"} {}', "invalid_json"),
    ("nonsense", "invalid_json"),
    ("[" * 100_000, "invalid_message"),
    ("[]", "invalid_message"),
    ("{}", "invalid_message"),
    ("null", "invalid_message"),
    ('{"type":"dance"}', "invalid_message"),
    ('{"type":5}', "invalid_message"),
    ('{"type":"append"}', "invalid_message"),
    ('{"type":"append","events":{}}', "invalid_message"),
    ('{"type":"complete","status":"active"}', "invalid_message"),
    ('{"type":"complete","reason":""}', "invalid_message"),
    ('{"type":"signal","key":"k"}', "invalid_message"),
    ('{"type":"signal","key":"","payload":{}}', "invalid_message"),
    ('{"type":"subscribe"}', "invalid_message"),
]


async def test_a_frame_that_is_not_a_message_gets_an_error_and_keeps_the_connection(gateway: Gateway) -> None:
    bot = await publisher(gateway, new_id("s"))
    for text, code in NO_MESSAGES:
        await bot.ws.send_str(text)
        error = await bot.next("error")
        assert (error["code"], error["retryable"]) == (code, False), text[:100]
        assert error["message"]
    assert await bot.acked("e1") == [1]


async def test_frames_that_arrive_together_are_taken_in_their_order_whatever_is_among_them(
    start_gateway: StartGateway,
) -> None:
    gateway = await start_gateway(max_in_flight=5)
    raw = await RawSocket.connect(gateway, publish_path(new_id("s"), "en"))
    assert (await raw.receive())["type"] == "opened"
    appends = [{"type": "append", "events": [new_event(f"{n}-{k}") for k in range(n)]} for n in range(1, 4)]
    good = [json.dumps(each).encode() for each in appends]
    bad = json.dumps({"type": "append", "events": [new_event("bad", {"a\0": 1})]}).encode()
    frames = [*good, bad, b"{", *good, *good[:1], b'{"type":"ping","ref":7}', *good]
    raw.write_at_once(b"".join(map(client_frame, frames)))
    seqs: list[int] = []
    others: list[str] = []
    while not others or others[-1] != "pong" or len(seqs) < 19:
        message = await raw.receive()
        if message["type"] == "ack":
            seqs += [ack["seq"] for ack in message["acks"]]
        else:
            others.append(message["type"])
    assert seqs == [1, 2, 3, 4, 5, 6] * 2 + [1] + [1, 2, 3, 4, 5, 6]
    assert sorted(others) == ["error", "nack", "pong"]
    raw.close()


async def test_a_frame_that_is_not_messagepack_gets_an_error_and_keeps_the_connection(gateway: Gateway) -> None:
    bot = await publisher(gateway, new_id("s"), protocols=[SUBPROTOCOL_MSGPACK])
    for frame in (b"", b"\xc1", b"\x81", b"\x81\xa4type", msgspec.msgpack.encode({1: 2}), b"\xdd\xff\xff\xff\xff"):
        await bot.ws.send_bytes(frame)
        assert (await bot.next("error"))["code"] in ("invalid_json", "invalid_message")
    assert await bot.acked("e1") == [1]


@pytest.mark.parametrize("protocol", [SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK])
async def test_a_pong_returns_the_ref_of_its_ping_whatever_its_value(gateway: Gateway, protocol: str) -> None:
    refs: list[Any] = ["x", "", 0, 1.0, -(2**63), True, None, [], {"a": [1, {"b": None}]}, "ü" * 20]
    for socket in (
        await publisher(gateway, new_id("s"), protocols=[protocol]),
        await subscriber(gateway, protocols=[protocol]),
    ):
        for ref in refs:
            pong = await socket.ask({"type": "ping", "ref": ref}, "pong")
            assert repr(pong) == repr({"type": "pong", "ref": ref})
        assert await socket.ask({"type": "ping"}, "pong") == {"type": "pong"}


async def test_unknown_fields_of_a_message_are_ignored(gateway: Gateway) -> None:
    bot = await publisher(gateway, new_id("s"))
    event = {**new_event("a"), "seq": 99, "sessionId": "another", "more": {"x": 1}}
    await bot.send({"type": "append", "id": 1, "events": [event], "": None})
    (answer,) = await bot.answers(1)
    assert answer == {"type": "ack", "eventId": "a", "seq": 1}


async def test_a_websocket_protocol_violation_closes_only_its_connection(gateway: Gateway) -> None:
    session_id = new_id("s")
    for bytes_ in (b"\xff\x80\x00\x00\x00\x00", b"\x83\x80\x00\x00\x00\x00", client_frame(b"x" * 126, 9)):
        raw = await RawSocket.connect(gateway, publish_path(session_id, "en"))
        assert (await raw.receive())["type"] == "opened"
        await raw.write(bytes_)
        assert await raw.close_code() == 1002
        raw.close()
    assert await (await publisher(gateway, session_id)).acked("a") == [1]


async def test_a_close_by_the_client_is_answered(gateway: Gateway) -> None:
    raw = await RawSocket.connect(gateway, "/subscribe")
    await raw.write(client_frame((1000).to_bytes(2), CLOSE))
    assert await raw.close_code() == 1000
    with pytest.raises(ConnectionResetError):
        await raw.frame()
    raw.close()


async def test_the_size_limit_of_frames_can_be_configured(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_frame_bytes=2048, max_event_bytes=1024)
    bot = await publisher(gateway, new_id("s"))
    assert await bot.acked(new_event("a", {"t": "x" * 800}), new_event("b", {"t": "x" * 800})) == [1, 2]
    await bot.append(new_event("c", {"t": "x" * 1000}), "d")
    first, second = await bot.answers(2)
    assert (first["code"], second["seq"]) == ("too_large", 3)
    assert "1024" in first["message"]
    await bot.append(new_event("a", {"t": "x" * 2048}))
    assert await bot.close_code() == 1009
