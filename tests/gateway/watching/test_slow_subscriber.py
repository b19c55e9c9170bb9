"""A subscriber that stops reading costs bounded memory, harms nobody, and misses nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import RawSocket, Socket, publisher, subscriber, until
from turnwire.gateway.connections.connection import Connection
from turnwire.gateway.sockets.subscriber_connection import SubscriberConnection
from turnwire.gateway.watching.audience import watchers_of

OUTBOX = 300_000


def connection_of(gateway: Gateway, before: set[Connection]) -> SubscriberConnection:
    (connection,) = gateway.connections - before
    assert isinstance(connection, SubscriberConnection)
    return connection


async def slow_subscriber(gateway: Gateway) -> tuple[RawSocket, SubscriberConnection]:
    before = set(gateway.connections)
    raw = await RawSocket.connect(gateway, "/subscribe", receive_buffer=4096)
    return raw, connection_of(gateway, before)


async def subscribe(raw: RawSocket, session_id: str, after_seq: int, ref: str = "r") -> None:
    await raw.send({"type": "subscribe", "ref": ref, "sessionId": session_id, "afterSeq": after_seq})
    assert (await raw.receive())["type"] == "subscribed"


async def read_all(raw: RawSocket, up_to: int, cursor: int = 0) -> list[dict[str, Any]]:
    """Read events up to this seq, without a hole. Return the other messages."""
    others = []
    while cursor < up_to:
        message = await raw.receive()
        if message["type"] != "events":
            others.append(message)
            continue
        for event in message["events"]:
            cursor += 1
            assert (event["seq"], event["eventId"]) == (cursor, f"e{cursor}")
    return others


async def publish(bot: Socket, first: int, last: int, size: int) -> None:
    for start in range(first, last + 1, 8):
        ids = range(start, min(start + 8, last + 1))
        await bot.acked(*(new_event(f"e{n}", {"text": "x" * size}) for n in ids))


async def lagging_subscriber(gateway: Gateway, session_id: str, events: int) -> tuple[RawSocket, SubscriberConnection]:
    """A subscriber that does not read, while the session has more for it than its outbox holds."""
    await publish(await publisher(gateway, session_id), 1, events, 100_000)
    raw, connection = await slow_subscriber(gateway)
    await subscribe(raw, session_id, 0)
    await until(lambda: connection.outbox.size > OUTBOX / 2, "the outbox to fill")
    return raw, connection


async def test_a_slow_subscriber_is_served_from_the_store_later_and_delays_nobody(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_outbox_bytes=OUTBOX)
    session_id = new_id("s")
    bot, quick = await publisher(gateway, session_id), await subscriber(gateway)
    raw, connection = await slow_subscriber(gateway)
    await subscribe(raw, session_id, 0)
    await quick.subscribe(session_id, 0)
    biggest = 0
    for start in range(1, 401, 8):
        await publish(bot, start, start + 7, 20_000)
        biggest = max(biggest, connection.outbox.size)
        await quick.events(start + 7, start - 1)
    assert biggest <= OUTBOX
    assert biggest > 0
    others = await read_all(raw, 400)
    assert [message["type"] for message in others] == ["caughtUp", "session"]
    await publish(bot, 401, 401, 10)  # the subscription is live again
    await read_all(raw, 401, 400)
    raw.close()


async def test_a_long_replay_to_a_subscriber_that_does_not_read_keeps_within_the_bound(
    start_gateway: StartGateway,
) -> None:
    gateway = await start_gateway(max_outbox_bytes=OUTBOX)
    session_id = new_id("s")
    raw, connection = await lagging_subscriber(gateway, session_id, 200)
    for _ in range(50):
        await asyncio.sleep(0.005)
        assert connection.outbox.size <= OUTBOX
    others = await read_all(raw, 200)
    assert (await raw.receive()) == {"type": "caughtUp", "ref": "r", "seq": 200}
    assert others == []
    raw.close()


async def test_without_a_bound_all_that_a_reader_has_not_read_is_held_for_it(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_outbox_bytes=0)
    session_id = new_id("s")
    await publish(await publisher(gateway, session_id), 1, 80, 100_000)
    raw, connection = await slow_subscriber(gateway)
    await subscribe(raw, session_id, 0)
    await until(lambda: connection.outbox.size > 1_000_000, "the outbox to fill")
    await read_all(raw, 80)
    raw.close()


async def test_a_reader_that_is_closed_for_what_it_holds_lets_go_of_it_at_once(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_outbox_bytes=OUTBOX)
    raw, connection = await lagging_subscriber(gateway, new_id("s"), 80)
    connection.shed()
    assert gateway.gateway.connections.waiting_bytes == 0
    assert await raw.close_code() == 1013
    raw.close()


@pytest.mark.parametrize("bound", [2048, 60_000])
async def test_events_larger_than_the_outbox_bound_arrive_one_by_one(start_gateway: StartGateway, bound: int) -> None:
    gateway = await start_gateway(max_outbox_bytes=bound)
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await publish(bot, 1, 40, 100_000)
    raw, connection = await slow_subscriber(gateway)
    await subscribe(raw, session_id, 0)
    for seq in range(1, 41):
        await read_all(raw, seq, seq - 1)
        assert connection.outbox.size <= bound + 101_000
    raw.close()


async def test_signals_are_not_kept_for_a_lagging_subscriber(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_outbox_bytes=OUTBOX)
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    raw, _ = await slow_subscriber(gateway)
    await subscribe(raw, session_id, 0)
    (subscription,) = watchers_of(gateway.live[session_id].state)
    count = 0
    while not subscription.behind:  # type: ignore[attr-defined]
        await publish(bot, count + 1, count + 8, 100_000)
        count += 8
    await bot.send({"type": "signal", "key": "lost", "payload": {}})
    await publish(bot, count + 1, count + 1, 10)
    others = await read_all(raw, count + 1)
    assert "signal" not in {message["type"] for message in others}
    await until(lambda: not subscription.behind, "the end of the lag")  # type: ignore[attr-defined]
    await bot.send({"type": "signal", "key": "heard", "payload": {}})
    assert (await raw.receive())["key"] == "heard"
    raw.close()


async def test_a_lagging_subscriber_gets_a_status_change_after_the_events_before_it(
    start_gateway: StartGateway,
) -> None:
    gateway = await start_gateway(max_outbox_bytes=OUTBOX)
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    raw, _ = await slow_subscriber(gateway)
    await subscribe(raw, session_id, 0)
    await publish(bot, 1, 160, 100_000)
    await bot.ask({"type": "complete"}, "completed")
    others = await read_all(raw, 160)
    assert [message["type"] for message in others] == ["caughtUp", "session"]
    assert others[1]["session"]["status"] == "active"
    assert (await raw.receive())["session"]["status"] == "completed"
    raw.close()


async def test_several_lagging_subscriptions_are_served_in_turn(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_outbox_bytes=OUTBOX)
    ids = [new_id("s") for _ in range(3)]
    for session_id in ids:
        await publish(await publisher(gateway, session_id), 1, 40, 100_000)
    raw, connection = await slow_subscriber(gateway)
    for session_id in ids:
        await raw.send({"type": "subscribe", "ref": session_id, "sessionId": session_id, "afterSeq": 0})
    await until(lambda: connection.outbox.size > OUTBOX / 2, "the outbox to fill")
    cursors = dict.fromkeys(ids, 0)
    caught_up: list[str] = []
    while len(caught_up) < 3:
        message = await raw.receive()
        assert connection.outbox.size <= OUTBOX
        if message["type"] == "caughtUp":
            caught_up.append(message["ref"])
        for event in message.get("events", []):
            cursors[message["ref"]] += 1
            assert event["seq"] == cursors[message["ref"]]
    assert set(cursors.values()) == {40}
    raw.close()


async def test_a_lagging_subscriber_that_disconnects_leaves_nothing_behind(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_outbox_bytes=OUTBOX)
    session_id = new_id("s")
    raw, connection = await lagging_subscriber(gateway, session_id, 80)
    raw.close()
    await until(lambda: connection not in gateway.connections, "the end of the connection")
    assert not watchers_of(gateway.live[session_id].state)
    assert connection.outbox.size == 0


async def test_an_sse_reader_that_does_not_read_keeps_within_the_bound(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_outbox_bytes=OUTBOX)
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await publish(bot, 1, 80, 100_000)
    answer = await gateway.request("GET", f"/sessions/{session_id}/events", headers={"Accept": "text/event-stream"})
    await until(lambda: len(gateway.followers) == 1, "the follower")
    (follower,) = gateway.followers
    assert follower.outbox is not None
    for _ in range(60):
        await asyncio.sleep(0.005)
        assert follower.outbox.size <= OUTBOX
    await publish(bot, 81, 90, 10)
    seq = 0
    async for line in answer.content:
        if line.startswith(b"id: "):
            seq += 1
            assert int(line[4:]) == seq
        if seq == 90:
            break
    answer.close()
    await publish(bot, 91, 91, 10)  # the gateway notices when it writes
    await until(lambda: not gateway.followers, "the end of the follower")
