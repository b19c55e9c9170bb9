"""A publisher that sends more than it may loses nothing, and the gateway holds little."""

from __future__ import annotations

import asyncio
import json

from tests.support.failpoints import failing
from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import PONG, RawSocket, Socket, client_frame, publish_path, publisher, until
from turnwire.gateway.sockets.publisher_connection import PublisherConnection


def connection_of(gateway: Gateway) -> PublisherConnection:
    (connection,) = gateway.connections
    assert isinstance(connection, PublisherConnection)
    return connection


async def append_one_by_one(bot: Socket, ids: list[str]) -> None:
    for event_id in ids:
        await bot.append(new_event(event_id, {"text": "x" * 1000}))


async def test_a_publisher_far_over_max_in_flight_loses_nothing_and_little_is_held(
    start_gateway: StartGateway, database_uri: str
) -> None:
    gateway = await start_gateway(max_in_flight=10, ping_interval=0.1, pong_timeout=0.2)
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    live, connection = gateway.live[session_id], connection_of(gateway)
    ids = [f"e{n}" for n in range(1000)]
    async with failing(database_uri, "insert"):
        sending = asyncio.create_task(append_one_by_one(bot, ids))
        await until(lambda: connection.paused, "the pause")
        for _ in range(100):  # long enough for pings and pongs to be due
            await asyncio.sleep(0.01)
            assert live.waiting_events <= 10
        assert connection.paused
    answers = await bot.answers(1000)
    await sending
    assert [(answer["eventId"], answer["seq"]) for answer in answers] == [(e, n) for n, e in enumerate(ids, start=1)]
    assert not connection.paused


async def test_frames_that_arrive_together_stay_together_however_many_came_before(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_frames_per_turn=8, max_turn=0.0)
    raw = await RawSocket.connect(gateway, publish_path(new_id("s"), "en"))
    assert (await raw.receive())["type"] == "opened"
    for batch in range(4):
        appends = [{"type": "append", "events": [new_event(f"e{batch}-{number}")]} for number in range(7)]
        raw.write_at_once(b"".join(client_frame(json.dumps(each).encode()) for each in appends))
        assert len((await raw.receive())["acks"]) == 7
    raw.close()


async def test_one_frame_may_exceed_max_in_flight(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_in_flight=3)
    bot = await publisher(gateway, new_id("s"))
    assert await bot.acked(*(f"e{n}" for n in range(20))) == list(range(1, 21))


async def test_events_in_flight_are_bounded_by_bytes_too(start_gateway: StartGateway, database_uri: str) -> None:
    gateway = await start_gateway(max_in_flight=100_000)
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    live, connection = gateway.live[session_id], connection_of(gateway)

    async def send() -> None:
        for number in range(60):
            await bot.append(new_event(f"e{number}", {"text": "x" * 100_000}))

    async with failing(database_uri, "insert"):
        sending = asyncio.create_task(send())
        await until(lambda: connection.paused, "the pause")
        assert live.waiting_events <= 25  # of 100,000 bytes in two frames of 1 MiB
    assert [answer["seq"] for answer in await bot.answers(60)] == list(range(1, 61))
    await sending


async def test_a_publisher_that_reads_no_acks_is_not_read_and_loses_nothing(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_outbox_bytes=20_000, max_ping_ref_bytes=0)
    session_id = new_id("s")
    raw = await RawSocket.connect(gateway, publish_path(session_id, "en"), receive_buffer=4096)
    assert (await raw.receive())["type"] == "opened"
    connection = connection_of(gateway)

    async def flood() -> int:
        count = 0
        while True:
            await raw.send({"type": "ping", "ref": "x" * 10_000})
            count += 1

    flooding = asyncio.create_task(flood())
    await until(lambda: connection.outbox.size > 40_000, "the outbox to be over its bound")
    size = connection.outbox.size
    for _ in range(50):
        await asyncio.sleep(0.005)
        assert connection.outbox.size <= size + 20_000
    flooding.cancel()
    await asyncio.wait([flooding])
    raw.close()


async def test_a_publisher_that_floods_and_never_reads_is_closed(start_gateway: StartGateway) -> None:
    patience = {"ping_interval": 0.1, "pong_timeout": 0.1, "slow_pong_timeout": 0.3}
    gateway = await start_gateway(max_outbox_bytes=20_000, max_ping_ref_bytes=0, **patience)
    raw = await RawSocket.connect(gateway, publish_path(new_id("s"), "en"), receive_buffer=4096)
    connection = connection_of(gateway)

    async def flood() -> None:
        while True:
            await raw.send({"type": "ping", "ref": "x" * 10_000})
            await raw.write(client_frame(b"", PONG))

    flooding = asyncio.create_task(flood())
    await until(lambda: connection not in gateway.connections, "the end of the connection")
    flooding.cancel()
    await asyncio.wait([flooding])
    raw.close()


async def test_nothing_sent_after_complete_is_stored_or_answered(gateway: Gateway, database_uri: str) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    async with failing(database_uri, "insert"):
        await bot.append("a")
        await bot.send(*[{"type": "complete"}] * 50)
        await bot.append("b")
        await bot.ask({"type": "ping"}, "pong")
        assert len(gateway.live[session_id]._inbox._items or ()) <= 2
    messages, code = await bot.rest()
    assert [message["type"] for message in messages] == ["ack", "completed"]
    assert code == 1000
    assert (await gateway.get(f"/sessions/{session_id}"))["lastSeq"] == 1
