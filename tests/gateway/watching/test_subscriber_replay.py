"""A subscriber gets every event after its cursor once, in order, whenever it subscribes."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import SECONDS, Socket, publisher, subscriber
from turnwire.gateway.watching.audience import watchers_of
from turnwire.protocol.codec import SUBPROTOCOL_MSGPACK


async def read_session(board: Socket, after_seq: int, up_to: int) -> None:
    """Check what subscription `r` gets up to this seq: order, no hole, one `caughtUp` in its place."""
    cursor, caught_up = after_seq, 0
    while cursor < up_to or not caught_up:
        message = await board.receive()
        if message["type"] == "events":
            for event in message["events"]:
                cursor += 1
                assert (event["seq"], event["eventId"]) == (cursor, f"e{cursor}")
        elif message["type"] == "caughtUp":
            caught_up += 1
            assert message["seq"] == cursor
    assert (cursor, caught_up) == (up_to, 1)


async def test_subscribing_at_any_moment_with_any_cursor_misses_nothing(gateway: Gateway) -> None:
    session_id = new_id("s")
    total = 1500
    chance = random.Random(7)
    bot = await publisher(gateway, session_id)
    stored = asyncio.Event()
    live = gateway.live[session_id]

    async def publish() -> None:
        for start in range(1, total + 1, 10):
            await bot.acked(*(f"e{n}" for n in range(start, start + 10)))
            stored.set()

    async def watch(number: int) -> None:
        board = await subscriber(gateway, protocols=[SUBPROTOCOL_MSGPACK] if number % 3 == 0 else [])
        begin = chance.randrange(total)
        while live.state.record.last_seq < begin:
            stored.clear()
            await stored.wait()
        head = live.state.record.last_seq
        after_seq = None if number % 5 == 0 else chance.randint(0, head)
        told = await board.subscribe(session_id, after_seq)
        assert told["lastSeq"] >= head
        await read_session(board, told["lastSeq"] if after_seq is None else after_seq, total)
        await board.close()

    async with asyncio.timeout(SECONDS):
        await asyncio.gather(publish(), *(watch(number) for number in range(40)))
    assert not watchers_of(live.state)


async def test_a_subscription_without_after_seq_gets_only_new_events(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 5)
    board = await subscriber(gateway)
    told = await board.subscribe(session_id)
    assert (told["lastSeq"], told["session"]["lastSeq"], told["ref"]) == (5, 5, "r")
    assert await board.next("caughtUp") == {"type": "caughtUp", "ref": "r", "seq": 5}
    await gateway.post(f"/sessions/{session_id}/events", new_event("new"), status=201)
    message = await board.next("events")
    assert (message["ref"], message["sessionId"]) == ("r", session_id)
    assert [(event["seq"], event["eventId"]) for event in message["events"]] == [(6, "new")]


async def test_a_subscription_from_the_end_of_the_log_is_caught_up_at_once(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 3)
    board = await subscriber(gateway)
    await board.subscribe(session_id, 3)
    assert (await board.next("caughtUp"))["seq"] == 3


async def test_a_long_log_is_replayed_whole_with_one_caught_up_at_the_end(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 700)
    board = await subscriber(gateway)
    await board.subscribe(session_id, 17)
    await read_session(board, 17, 700)
    await board.ask({"type": "ping"}, "pong")


async def test_sessions_not_in_memory_and_ended_sessions_are_replayed(start_gateway: StartGateway) -> None:
    gateway = await start_gateway()
    session_id = await gateway.create()
    await gateway.fill(session_id, 60)
    ended = await gateway.post(f"/sessions/{session_id}/complete", {"status": "failed", "reason": "x"})
    await gateway.stop()
    gateway = await start_gateway(end_grace=0)
    board = await subscriber(gateway)
    told = await board.subscribe(session_id, 0)
    assert told["session"] == ended
    await read_session(board, 0, 60)


async def test_many_subscriptions_on_one_connection_do_not_mix(gateway: Gateway) -> None:
    ids = [await gateway.create() for _ in range(12)]
    for number, session_id in enumerate(ids):
        await gateway.fill(session_id, number * 9 + 1)
    board = await subscriber(gateway)
    for session_id in ids:
        for ref in ("x", "y"):
            command = {"type": "subscribe", "ref": f"{ref}{session_id}", "sessionId": session_id, "afterSeq": 0}
            await board.send(command)
    cursors: dict[str, int] = {}
    caught_up: set[str] = set()
    while len(caught_up) < 24:
        message = await board.receive()
        ref = message["ref"]
        if message["type"] == "events":
            for event in message["events"]:
                assert ref.endswith(event["sessionId"])
                assert event["seq"] == cursors.get(ref, 0) + 1
                cursors[ref] = event["seq"]
        elif message["type"] == "caughtUp":
            caught_up.add(ref)
    for number, session_id in enumerate(ids):
        assert cursors[f"x{session_id}"] == cursors[f"y{session_id}"] == number * 9 + 1


async def test_a_subscription_survives_a_change_of_publishers(gateway: Gateway) -> None:
    session_id = new_id("s")
    first = await publisher(gateway, session_id)
    board = await subscriber(gateway)
    await board.subscribe(session_id, 0)
    await first.acked("e1")
    await first.close()
    second = await publisher(gateway, session_id)
    await second.acked("e2")
    await (await publisher(gateway, session_id)).acked("e3")
    await read_session(board, 0, 3)


async def test_events_reach_subscribers_only_once_durable(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot, board = await publisher(gateway, session_id), await subscriber(gateway)
    await board.subscribe(session_id, 0)
    await board.next("caughtUp")
    for number in range(1, 20):
        await bot.append(f"e{number}")
        (event,) = (await board.next_of("events"))["events"]
        stored = await gateway.store.events.read(session_id, number, number)
        assert [each.event_id for each in stored] == [event["eventId"]] == [f"e{number}"]


async def test_large_events_arrive_whole_in_frames_of_bounded_size(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot, live_board = await publisher(gateway, session_id), await subscriber(gateway)
    await live_board.subscribe(session_id, 0)

    def text(number: int) -> str:
        return chr(97 + number % 26) * 100_000

    for start in range(0, 40, 8):
        await bot.acked(*(new_event(f"e{n + 1}", {"text": text(n)}) for n in range(start, start + 8)))
    late_board = await subscriber(gateway)
    await late_board.subscribe(session_id, 0)
    for board in (live_board, late_board):
        count = 0
        while count < 40:
            message: Any = await board.next_of("events")
            assert len(message["events"]) <= 2
            for event in message["events"]:
                assert event["payload"]["text"] == text(count)
                count += 1
                assert event["seq"] == count
