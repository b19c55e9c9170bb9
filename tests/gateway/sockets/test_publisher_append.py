"""Appending over a publisher's socket: acks, duplicates, conflicts, and bad events among good ones."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import SECONDS, publisher, subscriber
from turnwire.protocol.codec import SUBPROTOCOL_MSGPACK


def ack(event_id: str, seq: int, **more: Any) -> dict[str, Any]:
    return {"type": "ack", "eventId": event_id, "seq": seq, **more}


async def test_every_event_is_acked_once_in_order(gateway: Gateway) -> None:
    bot = await publisher(gateway, new_id("s"))
    ids = [f"e{n}" for n in range(200)]
    for start in range(0, 200, 7):
        await bot.append(*ids[start : start + 7])
    assert await bot.answers(200) == [ack(event_id, seq) for seq, event_id in enumerate(ids, start=1)]
    await bot.send({"type": "ping"})
    await bot.next("pong")  # and nothing else


async def test_acks_of_events_stored_together_come_together(gateway: Gateway) -> None:
    bot = await publisher(gateway, new_id("s"))
    await bot.append(*(f"e{n}" for n in range(100)))
    message = await bot.next("ack")
    assert len(message["acks"]) == 100


async def test_a_payload_sent_over_a_socket_comes_back_exactly(gateway: Gateway) -> None:
    session_id = new_id("s")
    payload = {
        "text": "Grüße 👋\u0000\u2028",
        "$where": 1,
        "a.b": {"": [], "n": None},
        "numbers": [1, 1.0, -0.0, 1e300, 2**63 - 1, -(2**63), True],
        "deep": [[[[{"x": "y"}]]]],
    }
    for protocols in ((), (SUBPROTOCOL_MSGPACK,)):
        bot = await publisher(gateway, session_id, protocols=protocols)
        await bot.acked(new_event(f"e{bot.binary}", payload, timestamp="2025-01-01T12:00:00.1239+02:00"))
    board = await subscriber(gateway)
    await board.subscribe(session_id, 0)
    for event in await board.events(2):
        assert repr(event["payload"]) == repr(payload)
        assert event["timestamp"] == "2025-01-01T10:00:00.123Z"
        assert set(event) == {"eventId", "sessionId", "type", "payload", "timestamp", "seq"}


async def test_a_session_becomes_active_with_its_first_event(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    assert (await gateway.get(f"/sessions/{session_id}"))["status"] == "initiated"
    await bot.acked(new_event("e1", timestamp="2025-01-01T10:00:00Z"))
    session = await gateway.get(f"/sessions/{session_id}")
    assert session["status"] == "active"
    assert (session["lastSeq"], session["lastEventAt"]) == (1, "2025-01-01T10:00:00.000Z")


async def test_an_event_without_a_timestamp_gets_the_gateways_time_and_keeps_it(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.acked("e1")
    await bot.append("e1")
    assert await bot.answers(1) == [ack("e1", 1, duplicate=True)]
    (event,) = (await gateway.get(f"/sessions/{session_id}"))["events"]
    assert event["timestamp"].endswith("Z")


async def test_a_duplicate_is_acked_with_its_first_seq_within_and_across_frames(gateway: Gateway) -> None:
    bot = await publisher(gateway, new_id("s"))
    await bot.append("a", "b", "a", "c")
    await bot.append("b", "d", "d")
    assert await bot.answers(7) == [
        ack("a", 1),
        ack("b", 2),
        ack("a", 1, duplicate=True),
        ack("c", 3),
        ack("b", 2, duplicate=True),
        ack("d", 4),
        ack("d", 4, duplicate=True),
    ]


async def test_duplicates_are_known_on_the_next_connection_and_after_a_restart(start_gateway: StartGateway) -> None:
    session_id = new_id("s")
    gateway = await start_gateway()
    bot = await publisher(gateway, session_id)
    await bot.acked("a", "b", "c")
    bot = await publisher(gateway, session_id)
    await bot.append("b", "d")
    assert await bot.answers(2) == [ack("b", 2, duplicate=True), ack("d", 4)]
    await gateway.stop()
    gateway = await start_gateway()
    bot = await publisher(gateway, session_id)
    await bot.append("d", "a", "e")
    assert await bot.answers(3) == [ack("d", 4, duplicate=True), ack("a", 1, duplicate=True), ack("e", 5)]


async def test_rest_and_socket_recognize_each_others_events(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.acked("a")
    stored = await gateway.post(f"/sessions/{session_id}/events", new_event("b"), status=201)
    assert stored["seq"] == 2
    await bot.append("b", "c")
    assert await bot.answers(2) == [ack("b", 2, duplicate=True), ack("c", 3)]
    again = await gateway.post(
        f"/sessions/{session_id}/events", {"events": [new_event("c"), new_event("a")]}, status=201
    )
    assert [event["seq"] for event in again["events"]] == [3, 1]


@pytest.mark.parametrize("restart", [False, True])
async def test_another_type_or_payload_under_the_same_id_is_a_conflict(
    start_gateway: StartGateway, restart: bool
) -> None:
    session_id = new_id("s")
    gateway = await start_gateway()
    bot = await publisher(gateway, session_id)
    await bot.acked(new_event("n", {"n": 1}), new_event("t", {"x": "y", "z": None}))
    if restart:
        await gateway.stop()
        gateway = await start_gateway()
        bot = await publisher(gateway, session_id)
    others = [
        new_event("n", {"n": 1.0}),
        new_event("n", {"n": True}),
        new_event("n", {"n": "1"}),
        new_event("n", {"n": 1, "m": 1}),
        new_event("n", {}),
        {**new_event("n", {"n": 1}), "type": "system"},
        new_event("t", {"x": "y"}),
    ]
    same = [
        new_event("n", {"n": 1}),
        new_event("t", {"z": None, "x": "y"}),
        new_event("n", {"n": 1}, timestamp="2020-01-01T00:00:00Z"),
    ]
    await bot.append(*others, *same)
    answers = await bot.answers(len(others) + len(same))
    for answer in answers[: len(others)]:
        assert (answer["type"], answer["code"], answer["retryable"]) == ("nack", "event_conflict", False)
    assert answers[len(others) :] == [
        ack("n", 1, duplicate=True),
        ack("t", 2, duplicate=True),
        ack("n", 1, duplicate=True),
    ]
    assert (await gateway.get(f"/sessions/{session_id}"))["lastSeq"] == 2


async def test_a_conflict_within_one_frame_fails_only_the_second_event(gateway: Gateway) -> None:
    bot = await publisher(gateway, new_id("s"))
    await bot.append(new_event("a", {"n": 1}), new_event("a", {"n": 2}), "b")
    first, second, third = await bot.answers(3)
    assert first == ack("a", 1)
    assert (second["type"], second["code"]) == ("nack", "event_conflict")
    assert third == ack("b", 2)


BAD: list[tuple[Any, str | None, str]] = [
    ({"eventId": "x", "type": "shout", "payload": {}}, "x", "invalid_event"),
    ({"eventId": "x", "type": "system", "payload": []}, "x", "invalid_event"),
    ({"eventId": "x", "type": "system"}, "x", "invalid_event"),
    ({"type": "system", "payload": {}}, None, "invalid_event"),
    ({"eventId": 5, "type": "system", "payload": {}}, None, "invalid_event"),
    ({"eventId": "", "type": "system", "payload": {}}, None, "invalid_event"),
    ({"eventId": "i" * 257, "type": "system", "payload": {}}, None, "invalid_event"),
    ({"eventId": "x", "type": "system", "payload": {}, "timestamp": "yesterday"}, "x", "invalid_event"),
    ({"eventId": "x", "type": "system", "payload": {}, "timestamp": "2025-01-01T00:00:00"}, "x", "invalid_event"),
    ({"eventId": "x", "type": "system", "payload": {"n": 2**63}}, "x", "invalid_event"),
    ({"eventId": "x", "type": "system", "payload": {"a\0b": 1}}, "x", "invalid_event"),
    ({"eventId": "x", "type": "system", "payload": {"t": "t" * 131_072}}, "x", "too_large"),
    ("text", None, "invalid_event"),
    (None, None, "invalid_event"),
]


async def test_a_bad_event_is_nacked_and_the_others_are_stored(gateway: Gateway) -> None:
    bot = await publisher(gateway, new_id("s"))
    for number, (bad, event_id, code) in enumerate(BAD):
        await bot.send({"type": "append", "events": [new_event(f"a{number}"), bad, new_event(f"b{number}")]})
        first, second, third = await bot.answers(3)
        assert first == ack(f"a{number}", number * 2 + 1)
        assert third == ack(f"b{number}", number * 2 + 2)
        assert (second["type"], second["eventId"], second["code"]) == ("nack", event_id, code)
        assert second["message"]
        assert second["retryable"] is False


async def test_an_event_nested_too_deeply_is_nacked_and_the_others_are_stored(gateway: Gateway) -> None:
    bot = await publisher(gateway, new_id("s"))
    for depth, good in ((63, True), (64, True), (65, False), (5000, False)):
        deep = '{"a":' * depth + "1" + "}" * depth
        event = f'{{"eventId":"d{depth}","type":"system","payload":{deep}}}'
        await bot.ws.send_str(
            f'{{"type":"append","events":[{event},{{"eventId":"n{depth}","type":"system","payload":{{}}}}]}}'
        )
        first, second = await bot.answers(2)
        assert first["type"] == ("ack" if good else "nack")
        if not good:
            assert first["eventId"] == f"d{depth}"
            assert "64" in first["message"]
        assert second["type"] == "ack"


@pytest.mark.parametrize("count", [0, 501])
async def test_a_frame_with_no_events_or_too_many_gets_one_error_and_stores_nothing(
    gateway: Gateway, count: int
) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.append(*(f"e{n}" for n in range(count)))
    error = await bot.next("error")
    assert (error["code"], error["retryable"]) == ("invalid_message", False)
    assert "500" in error["message"]
    assert await bot.acked("after") == [1]


async def test_a_frame_of_500_events_is_stored(gateway: Gateway) -> None:
    bot = await publisher(gateway, new_id("s"))
    assert await bot.acked(*(f"e{n}" for n in range(500))) == list(range(1, 501))


async def test_many_publishers_at_once_each_get_their_own_log(gateway: Gateway) -> None:
    async def run(number: int) -> None:
        bot = await publisher(gateway, f"session-{number}")
        for batch in range(5):
            ids = [f"e{batch}-{n}" for n in range(number % 7 + 1)]
            first = batch * len(ids) + 1
            assert await bot.acked(*ids) == list(range(first, first + len(ids)))

    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*(run(number) for number in range(30)))
