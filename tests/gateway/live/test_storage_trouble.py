"""The database fails or does not answer: no event is acked before it is durable, and each is acked once later."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError

from tests.support.failpoints import failing
from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.proxy import DatabaseProxy
from tests.support.sockets import Socket, publisher, subscriber, until

pytestmark = pytest.mark.faults

TROUBLES: list[dict[str, Any]] = [
    {"errorCode": 10107},  # NotWritablePrimary
    {"errorCode": 11600},  # InterruptedAtShutdown
    {"errorCode": 13},  # Unauthorized: neither the network's fault nor the event's
    {"closeConnection": True},
]


async def assert_whole(gateway: Gateway, session_id: str, ids: list[str]) -> None:
    """Assert that the log holds these events once each, in this order."""
    found: list[str] = []
    while len(found) < len(ids):
        page = await gateway.get(f"/sessions/{session_id}/events?afterSeq={len(found)}")
        assert page["lastSeq"] == len(ids)
        found += [event["eventId"] for event in page["events"]]
    assert found == ids


async def nothing_comes(bot: Socket) -> None:
    """Assert that neither ack nor nack is on its way."""
    for _ in range(3):
        await bot.ask({"type": "ping"}, "pong")
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: str(next(iter(trouble.values()))))
async def test_events_get_no_answer_during_an_outage_and_one_ack_each_after_it(
    gateway: Gateway, database_uri: str, trouble: dict[str, Any]
) -> None:
    session_id = new_id("s")
    bot, board = await publisher(gateway, session_id), await subscriber(gateway)
    await board.subscribe(session_id, 0)
    await board.next("caughtUp")
    ids = [f"e{n}" for n in range(60)]
    async with failing(database_uri, "insert", **trouble):
        for start in range(0, 60, 20):
            await bot.append(*ids[start : start + 20])
        await nothing_comes(bot)
        await board.ask({"type": "ping"}, "pong")
    answers = await bot.answers(60)
    assert [(a["type"], a["eventId"], a["seq"]) for a in answers] == [("ack", e, n) for n, e in enumerate(ids, start=1)]
    assert [event["eventId"] for event in await board.events(60)] == ids
    await assert_whole(gateway, session_id, ids)


async def test_a_write_whose_write_concern_failed_is_acked_once_a_majority_read_shows_it(
    gateway: Gateway, database_uri: str
) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    ids = [f"e{n}" for n in range(60)]
    lagging = {"code": 64, "errmsg": "waiting for replication timed out"}
    async with failing(database_uri, "insert", writeConcernError=lagging):
        await bot.append(*ids)
        answers = await bot.answers(60)
        await nothing_comes(bot)
    assert [(a["type"], a["eventId"], a["seq"]) for a in answers] == [("ack", e, n) for n, e in enumerate(ids, start=1)]
    await assert_whole(gateway, session_id, ids)


async def test_an_event_stored_without_confirmation_is_acked_once_it_is_read_back(
    gateway: Gateway, database_uri: str
) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    ids = [f"e{n}" for n in range(60)]
    error = {"code": 100, "errmsg": "not enough data-bearing nodes"}
    async with failing(database_uri, "insert", times=3, writeConcernError=error):
        for start in range(0, 60, 20):
            await bot.append(*ids[start : start + 20])
        answers = await bot.answers(60)
    assert [(a["type"], a["eventId"], a["seq"]) for a in answers] == [("ack", e, n) for n, e in enumerate(ids, start=1)]
    await assert_whole(gateway, session_id, ids)


@pytest.mark.parametrize("commands", [("find",), ("insert", "find")])
async def test_failing_reads_only_delay_answers(gateway: Gateway, database_uri: str, commands: tuple[str, ...]) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.acked("a")
    async with failing(database_uri, *commands, errorCode=10107, times=4):
        await bot.append("a", "b")
        await bot.append(new_event("a", {"another": 1}), "c")
        answers = await bot.answers(4)
    assert [answer["type"] for answer in answers] == ["ack", "ack", "nack", "ack"]
    assert answers[2]["code"] == "event_conflict"
    await assert_whole(gateway, session_id, ["a", "b", "c"])


@pytest.mark.parametrize("times", [1, 2])
async def test_an_insert_whose_answer_is_lost_is_stored_once_and_acked(
    start_gateway: StartGateway, database_uri: str, times: int
) -> None:
    async with DatabaseProxy(database_uri) as proxy:
        gateway = await start_gateway(mongodb_uri=proxy.uri)
        session_ids = [new_id("s") for _ in range(3)]
        bots = [await publisher(gateway, each) for each in session_ids]
        for round_ in range(times):
            proxy.lose_answer_to("insert")
            ids = [f"e{round_}-{n}" for n in range(10)]
            async with asyncio.timeout(20):
                seqs = await asyncio.gather(*(bot.acked(*ids) for bot in bots))
            assert seqs == [list(range(round_ * 10 + 1, round_ * 10 + 11))] * 3
            assert proxy.lost == round_ + 1
        for session_id in session_ids:
            await assert_whole(gateway, session_id, [f"e{r}-{n}" for r in range(times) for n in range(10)])
        await gateway.stop()


async def test_creations_claims_and_ends_whose_answers_are_lost_are_done_once(
    start_gateway: StartGateway, database_uri: str
) -> None:
    async with DatabaseProxy(database_uri) as proxy:
        gateway = await start_gateway(mongodb_uri=proxy.uri)
        session_id = await gateway.create()
        proxy.lose_answer_to("update")  # the claim
        bot = await publisher(gateway, session_id)
        assert await bot.acked("a") == [1]
        proxy.lose_answer_to("update")  # the end
        completed = await bot.ask({"type": "complete", "reason": "x"}, "completed")
        assert proxy.lost == 2
        assert completed["session"]["endReason"] == "x"
        again = await gateway.post(f"/sessions/{session_id}/complete", {"reason": "y"})
        assert again == completed["session"]
        await gateway.stop()


async def test_after_the_storage_timeout_a_publisher_is_closed_and_resumes(
    start_gateway: StartGateway, database_uri: str
) -> None:
    gateway = await start_gateway(storage_timeout=1.0)
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.acked("a")
    async with failing(database_uri, "insert"):
        await bot.append("b", "c")
        assert await bot.close_code() == 1013
    bot = await publisher(gateway, session_id)  # events on their way are stored before the client learns of it
    assert (bot.opened["lastSeq"], bot.opened["lastEventId"]) == (3, "c")
    await bot.append("b", "c", "d")
    assert [answer.get("duplicate", False) for answer in await bot.answers(3)] == [True, True, False]
    await assert_whole(gateway, session_id, ["a", "b", "c", "d"])


async def test_a_handshake_during_an_outage_is_refused_with_503(start_gateway: StartGateway, database_uri: str) -> None:
    gateway = await start_gateway(rest_timeout=1.5)
    session_id = await gateway.create()
    async with failing(database_uri, "find", "update", "insert"):
        for each in (session_id, new_id("s")):
            with pytest.raises(WSServerHandshakeError) as refusal:
                await publisher(gateway, each)
            assert refusal.value.status == 503
            assert refusal.value.headers is not None
            assert "Retry-After" in refusal.value.headers
    assert gateway.live[session_id].state.publisher is None
    async with asyncio.timeout(20):
        while True:
            try:
                bot = await publisher(gateway, session_id)
                break
            except WSServerHandshakeError:
                await asyncio.sleep(0.05)
    assert await bot.acked("a") == [1]


async def test_a_rest_write_during_an_outage_gets_503_and_may_be_repeated(
    start_gateway: StartGateway, database_uri: str
) -> None:
    gateway = await start_gateway(rest_timeout=1.5)
    session_id = await gateway.create()
    path = f"/sessions/{session_id}/events"
    async with failing(database_uri, "insert"):
        envelope = await gateway.refused("POST", path, 503, json=new_event("a"))
        assert envelope["code"] == "storage_unavailable"
    async with asyncio.timeout(20):
        while (await gateway.get(f"/sessions/{session_id}"))["lastSeq"] == 0:
            await asyncio.sleep(0.05)
    again = await gateway.post(path, new_event("a"), status=201)
    assert again["seq"] == 1


async def test_a_gateway_starts_without_its_database_and_serves_when_it_comes(
    start_gateway: StartGateway, database_uri: str
) -> None:
    async with DatabaseProxy(database_uri) as proxy:
        proxy.refuse(True)
        starting = asyncio.ensure_future(start_gateway(mongodb_uri=proxy.uri, rest_timeout=0.3))
        await asyncio.sleep(0.3)
        assert not starting.done()
        proxy.refuse(False)
        gateway = await starting
        assert await (await publisher(gateway, new_id("s"))).acked("a") == [1]
        await gateway.stop()


async def test_database_connections_that_break_repeatedly_lose_nothing(
    start_gateway: StartGateway, database_uri: str
) -> None:
    async with DatabaseProxy(database_uri) as proxy:
        gateway = await start_gateway(mongodb_uri=proxy.uri)
        session_id = new_id("s")
        bot, board = await publisher(gateway, session_id), await subscriber(gateway)
        await board.subscribe(session_id, 0)
        ids = [f"e{n}" for n in range(120)]

        async def publish() -> None:
            for event_id in ids:
                await bot.append(event_id)
            answers = await bot.answers(120)
            assert [(a["type"], a["seq"]) for a in answers] == [("ack", n) for n in range(1, 121)]

        publishing = asyncio.create_task(publish())
        for seq in (1, 10, 30, 60):
            await until(lambda seq=seq: gateway.live[session_id].state.record.last_seq >= seq, "some events")  # type: ignore[misc]
            proxy.refuse(True)
            proxy.refuse(False)
        await publishing
        assert [event["eventId"] for event in await board.events(120)] == ids
        await gateway.stop()
