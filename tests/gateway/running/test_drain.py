"""Draining: every client is told, what is in flight is settled, and nothing new is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import WSServerHandshakeError

from tests.support.failpoints import failing
from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import SECONDS, RawSocket, Socket, publish_path, publisher, subscriber, until


@asynccontextmanager
async def draining_with_an_event_under_way(
    gateway: Gateway, bot: Socket, database_uri: str
) -> AsyncIterator[asyncio.Task[None]]:
    """A drain has begun and `bot` was told. Its event "a" is on its way to a slow database."""
    async with failing(database_uri, "insert", blockConnection=True, blockTimeMS=500):
        await bot.append("a")
        await bot.ask({"type": "ping"}, "pong")
        draining = asyncio.create_task(gateway.gateway.drain())
        await bot.next("goaway")
        yield draining


async def test_a_drain_sends_goaway_to_every_client_and_closes_with_1012(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(reconnect_after=0.7, drain_spread=0)
    bot, board = await publisher(gateway, new_id("s")), await subscriber(gateway)
    draining = asyncio.create_task(gateway.gateway.drain())
    for socket in (bot, board):
        messages, code = await socket.rest()
        assert [message["type"] for message in messages] == ["goaway"]
        assert messages[0]["reconnectAfterMs"] == 700
        assert messages[0]["reason"]
        assert code == 1012
    await draining
    assert not gateway.connections


async def test_a_drain_acks_what_is_in_flight_before_it_closes(start_gateway: StartGateway, database_uri: str) -> None:
    gateway = await start_gateway()
    session_id = new_id("s")
    bot, board = await publisher(gateway, session_id), await subscriber(gateway)
    await board.subscribe(session_id, 0)
    async with failing(database_uri, "insert", blockConnection=True, blockTimeMS=300):
        await bot.append("a", "b")
        await bot.append("c")
        await bot.ask({"type": "ping"}, "pong")
        await gateway.gateway.drain()
    messages, code = await bot.rest()
    assert code == 1012
    acks = [each["eventId"] for message in messages if message["type"] == "ack" for each in message["acks"]]
    assert acks == ["a", "b", "c"]
    told, code = await board.rest()
    assert code == 1012
    delivered = [event["seq"] for message in told if message["type"] == "events" for event in message["events"]]
    assert delivered == [1, 2, 3]


async def test_frames_after_goaway_are_neither_stored_nor_acked(start_gateway: StartGateway, database_uri: str) -> None:
    gateway = await start_gateway()
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    async with draining_with_an_event_under_way(gateway, bot, database_uri) as draining:
        await bot.append("late")
        messages, code = await bot.rest()
    assert [each["eventId"] for each in messages[0]["acks"]] == ["a"]
    assert (len(messages), code) == (1, 1012)
    await draining
    stored = await gateway.store.events.read_present(session_id, range(1, 11))
    assert [event.event_id for event in stored] == ["a"]


async def test_a_drain_writes_the_lazy_fields(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(flush_interval=60)
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.acked(*(f"e{n}" for n in range(5)))
    stored = await gateway.store.sessions.load(session_id)
    assert stored is not None
    assert (stored.status, stored.last_seq) == ("initiated", 0)
    await gateway.gateway.drain()
    stored = await gateway.store.sessions.load(session_id)
    assert stored is not None
    assert (stored.status, stored.last_seq) == ("active", 5)


async def test_a_drain_that_cannot_write_the_lazy_fields_closes_at_once_and_says_what_is_left(
    start_gateway: StartGateway, database_uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "turnwire.drain")
    gateway = await start_gateway(flush_interval=60, drain_timeout=1)
    bot = await publisher(gateway, new_id("s"))
    await bot.acked("a")
    async with failing(database_uri, "update", "bulkWrite"):
        draining = asyncio.create_task(gateway.gateway.drain())
        messages, code = await bot.rest()
        assert not draining.done()
        await draining
    assert ([message["type"] for message in messages], code) == (["goaway"], 1012)
    assert [record.getMessage() for record in caplog.records if record.name == "turnwire.drain"] == [
        "sessions whose documents are behind their logs: 1; the next start reads the rest"
    ]


async def test_new_handshakes_are_refused_during_a_drain(start_gateway: StartGateway, database_uri: str) -> None:
    gateway = await start_gateway()
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    async with draining_with_an_event_under_way(gateway, bot, database_uri) as draining:
        for path in ("/subscribe", publish_path(session_id)):
            with pytest.raises(WSServerHandshakeError) as refusal:
                await Socket.connect(gateway, path)
            assert refusal.value.status == 503
        await draining


async def test_a_handshake_under_way_is_refused_when_a_drain_begins(
    start_gateway: StartGateway, database_uri: str
) -> None:
    gateway = await start_gateway()
    session_id = await gateway.create()
    async with failing(database_uri, "update", blockConnection=True, blockTimeMS=400):
        connecting = asyncio.create_task(publisher(gateway, session_id))
        await until(lambda: gateway.live[session_id].state.busy_since is not None, "the claim at work")
        await gateway.gateway.drain()
        with pytest.raises(WSServerHandshakeError) as refusal:
            await connecting
    assert refusal.value.status == 503
    assert gateway.live[session_id].state.publisher is None


async def test_a_drain_takes_no_longer_than_its_timeout(start_gateway: StartGateway, database_uri: str) -> None:
    gateway = await start_gateway(drain_timeout=0.8)
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    silent = await RawSocket.connect(gateway, "/subscribe", receive_buffer=4096)  # this client answers no close
    loop = asyncio.get_running_loop()
    async with failing(database_uri, "insert", "update", "bulkWrite"):
        await bot.append("a")
        await bot.ask({"type": "ping"}, "pong")
        began = loop.time()
        await gateway.gateway.drain()
        assert loop.time() - began < 0.8 + 3  # a machine that does other work too
    messages, code = await bot.rest()
    assert [message["type"] for message in messages] == ["goaway"]
    assert code == 1012
    silent.close()


async def test_event_streams_end_in_a_drain_and_resume_at_another_gateway(start_gateway: StartGateway) -> None:
    gateway = await start_gateway()
    session_id = await gateway.create()
    await gateway.fill(session_id, 3)
    async with gateway.request(
        "GET", f"/sessions/{session_id}/events", headers={"Accept": "text/event-stream"}
    ) as answer:
        body = b""
        async with asyncio.timeout(SECONDS):
            while body.count(b"event: event") < 3:
                body += await answer.content.readany()
        await gateway.gateway.drain()
        body += await answer.content.read()  # until the drain ends the stream
    assert body.count(b"event: event") == 3
    assert not gateway.followers


async def test_after_a_drain_another_gateway_continues_where_this_one_stopped(start_gateway: StartGateway) -> None:
    here, there = await start_gateway(), await start_gateway()
    session_id = new_id("s")
    bot, board = await publisher(here, session_id), await subscriber(here)
    await board.subscribe(session_id, 0)
    for number in range(100):
        await bot.append(f"e{number}")
    await here.gateway.drain()
    messages, _ = await bot.rest()
    acked = [each["seq"] for message in messages if message["type"] == "ack" for each in message["acks"]]
    assert acked == list(range(1, len(acked) + 1))
    bot = await publisher(there, session_id)
    assert bot.opened["lastSeq"] == len(acked)  # this was no crash: every stored event was acked
    await bot.append(*(f"e{number}" for number in range(100)))
    assert [answer["seq"] for answer in await bot.answers(100)] == list(range(1, 101))


async def test_rest_requests_are_answered_during_a_drain(start_gateway: StartGateway) -> None:
    gateway: Gateway = await start_gateway()
    session_id = await gateway.create()
    gateway.gateway.connections.draining = True
    stored = await gateway.post(f"/sessions/{session_id}/events", new_event("a"), status=201)
    assert stored["seq"] == 1


async def test_goaway_spreads_the_return_of_clients_over_time(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(reconnect_after=0.2, drain_spread=1.0)
    boards = [await subscriber(gateway) for _ in range(5)]
    await gateway.gateway.drain()
    asked = sorted([(await board.next("goaway"))["reconnectAfterMs"] for board in boards])
    assert asked == [200, 400, 600, 800, 1000]


async def test_a_gateway_in_its_drain_delay_is_not_ready_and_still_serves(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(drain_delay=300)
    session_id = await gateway.create()
    leaving = asyncio.create_task(gateway.gateway.leave())
    await asyncio.sleep(0)
    async with gateway.request("GET", "/health/ready") as answer:
        assert answer.status == 503
    bot = await publisher(gateway, session_id)
    assert await bot.acked("a") == [1]
    assert not leaving.done()
    leaving.cancel()
