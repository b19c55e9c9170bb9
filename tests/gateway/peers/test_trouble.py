"""Redis killed, frozen, cut off or emptied: no ack waits, subscribers get each event once, polling takes over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from tests.gateway.peers.conftest import StartPeers, is_up, watched_elsewhere
from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.redis import RedisServer
from tests.support.sockets import Socket, publisher, subscriber, until

pytestmark = pytest.mark.faults
POLLS: dict[str, Any] = {"poll_interval": 0.2}


@pytest.fixture
async def here_and_there(start_peers: StartPeers) -> list[Gateway]:
    return await start_peers(2, **POLLS)


class Stream:
    """A publisher at one gateway sends an event every few milliseconds, and a subscriber follows at another."""

    def __init__(self, bot: Socket, board: Socket, session_id: str) -> None:
        self.bot, self.board, self.session_id = bot, board, session_id
        self.sent = 0
        self.acked = 0
        self.seen = 0
        self._stop = False
        self._publishing = asyncio.create_task(self._publish())
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, here: Gateway, there: Gateway) -> Stream:
        session_id = new_id("s")
        bot, board = await publisher(here, session_id), await subscriber(there)
        await board.subscribe(session_id, 0)
        await board.next("caughtUp")
        await watched_elsewhere(here, session_id)
        return cls(bot, board, session_id)

    async def _publish(self) -> None:
        while not self._stop:
            self.sent += 1
            (self.acked,) = await self.bot.acked(f"e{self.sent}")
            assert self.acked == self.sent
            await asyncio.sleep(0.02)

    async def _read(self) -> None:
        while True:
            events = (await self.board.next_of("events"))["events"]
            assert [event["seq"] for event in events] == list(range(self.seen + 1, self.seen + 1 + len(events)))
            self.seen += len(events)

    async def goes_on(self, count: int) -> None:
        """Wait until this many events more have been sent, acked and delivered."""
        goal = self.sent + count
        await until(lambda: min(self.acked, self.seen) >= goal or self._ended(), "events meanwhile")
        assert not self._ended()

    def _ended(self) -> bool:
        return self._publishing.done() or self._reading.done()

    async def end(self) -> None:
        """Assert that every sent event has been acked and has arrived once, in order."""
        self._stop = True
        async with asyncio.timeout(20):
            await self._publishing
            await until(lambda: self.seen == self.sent or self._reading.done(), "all that was sent")
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading


@pytest.fixture
async def stream(here_and_there: list[Gateway]) -> AsyncIterator[Stream]:
    running = await Stream.start(*here_and_there)
    yield running
    await running.end()


async def goes_down_and_comes_back(
    stream: Stream, gateways: list[Gateway], redis: RedisServer, *, frozen: bool
) -> None:
    """Redis is away, until 20 events have come through without it."""
    redis.freeze() if frozen else redis.kill()
    await until(lambda: not any(map(is_up, gateways)), "that it is down")
    health = await gateways[0].get("/health")
    assert (health["status"], health["dependencies"]["redis"]) == ("degraded", "down")
    async with gateways[0].request("GET", "/health/ready") as response:
        assert response.status == 200
    await stream.goes_on(20)
    redis.thaw() if frozen else redis.start()
    await until(lambda: all(map(is_up, gateways)), "that it is back")


@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
async def test_a_redis_that_dies_and_comes_back_costs_no_event_and_no_ack(
    stream: Stream, here_and_there: list[Gateway], redis: RedisServer, frozen: bool
) -> None:
    await goes_down_and_comes_back(stream, here_and_there, redis, frozen=frozen)
    await watched_elsewhere(here_and_there[0], stream.session_id)
    await stream.end()


async def test_a_redis_that_drops_connections_or_is_emptied_costs_no_event(
    stream: Stream, here_and_there: list[Gateway], redis: RedisServer
) -> None:
    for words in (["FLUSHALL"], ["CLIENT", "KILL", "TYPE", "pubsub"], ["CLIENT", "KILL", "TYPE", "normal"]) * 2:
        redis.command(*words)
        await stream.goes_on(5)
    await until(lambda: all(map(is_up, here_and_there)), "that it is back")
    await stream.end()


async def test_without_redis_events_and_ends_arrive_by_polling(start_gateway: StartGateway) -> None:
    here, there = await start_gateway(**POLLS), await start_gateway(**POLLS)
    session_id = new_id("s")
    bot, board = await publisher(here, session_id), await subscriber(there)
    await board.subscribe(session_id, 0)
    await board.next("caughtUp")
    for number in range(3):
        await bot.acked(*(f"e{number}-{n}" for n in range(70)))
        assert len(await board.events(70 * (number + 1), 70 * number)) == 70
    await bot.send({"type": "complete", "reason": "hangup"})
    assert (await bot.next("completed"))["session"]["lastSeq"] == 210
    seen = await board.next_of("session")
    while seen["session"]["status"] == "active":
        seen = await board.next("session")
    assert (seen["session"]["status"], seen["session"]["endReason"]) == ("completed", "hangup")


async def test_without_redis_a_publisher_learns_of_a_takeover_and_of_an_end_by_polling(
    start_gateway: StartGateway,
) -> None:
    here, there = await start_gateway(**POLLS), await start_gateway(**POLLS)
    first, second = new_id("s"), new_id("s")
    bots = [await publisher(here, session_id) for session_id in (first, second)]
    await publisher(there, first)
    assert await bots[0].close_code() == 4409
    ended = await there.post(f"/sessions/{second}/complete", {})
    assert (await bots[1].next("completed"))["session"] == ended


async def test_a_gateway_starts_and_serves_while_its_redis_is_away(
    start_gateway: StartGateway, redis: RedisServer
) -> None:
    redis.kill()
    gateway = await start_gateway(redis_url=redis.url)
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    assert await bot.acked("a") == [1]
    assert (await gateway.get("/health"))["dependencies"]["redis"] == "down"
    redis.start()
    await until(lambda: is_up(gateway), "the bus")
    assert (await gateway.get("/health"))["status"] == "ok"


async def test_foreign_messages_on_the_channels_are_ignored(
    here_and_there: list[Gateway], redis: RedisServer, database_name: str
) -> None:
    for garbage in ("x", '"\\xff\\xfe"', '"\\x81\\xa6sender\\xa1x"'):
        assert redis.command("PUBLISH", f"turnwire:{database_name}:", garbage) == ":2"
    stream = await Stream.start(*here_and_there)
    await stream.end()
    assert all(map(is_up, here_and_there))


async def test_an_announced_head_that_the_log_does_not_confirm_is_ignored(here_and_there: list[Gateway]) -> None:
    here, there = here_and_there
    session_id = new_id("s")
    bot, board = await publisher(here, session_id), await subscriber(there)
    await board.subscribe(session_id, 0)
    await board.next("caughtUp")
    peers = here.parts.peers
    assert peers is not None
    await watched_elsewhere(here, session_id)
    peers.announcer.tell_head(session_id, 1000)
    await bot.acked("a")
    await board.events(1)
    assert (await there.get(f"/sessions/{session_id}"))["lastSeq"] == 1
    await here.post(f"/sessions/{session_id}/events", new_event("b"), status=201)
    await board.events(2, 1)
