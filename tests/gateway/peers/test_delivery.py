"""Events, signals, takeovers and ends at one gateway reach the others at once, over a real Redis."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.peers.conftest import StartPeers, knows, watched_elsewhere
from tests.support.gateways import Gateway, new_event, new_id
from tests.support.sockets import Socket, publisher, subscriber, until


@pytest.fixture
async def pair(start_peers: StartPeers) -> list[Gateway]:
    return await start_peers(2)


async def watching(gateway: Gateway, session_id: str, after_seq: int = 0) -> Socket:
    """A subscriber that has caught up."""
    board = await subscriber(gateway)
    await board.subscribe(session_id, after_seq)
    await board.next_of("caughtUp")
    return board


async def test_events_reach_the_subscribers_of_all_gateways_in_order(start_peers: StartPeers) -> None:
    here, *others = await start_peers(3)
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    boards = [await watching(other, session_id) for other in others]
    for number in range(30):
        await bot.acked(*(f"e{number}-{n}" for n in range(5)))
    for board in boards:
        assert [event["seq"] for event in await board.events(150)] == list(range(1, 151))


async def test_events_appended_by_rest_elsewhere_reach_the_publishers_gateway(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    board = await watching(here, session_id)
    await watched_elsewhere(there, session_id)
    await there.post(f"/sessions/{session_id}/events", new_event("rest"), status=201)
    assert [event["eventId"] for event in await board.events(1)] == ["rest"]
    await bot.acked("after")
    assert [event["eventId"] for event in await board.events(2, 1)] == ["after"]


async def test_clients_of_a_leaving_gateway_go_to_another_one_at_once(pair: list[Gateway]) -> None:
    here, there = pair
    bots = [await publisher(here, new_id("s")) for _ in range(2)]
    await here.gateway.drain()
    assert sorted([(await bot.next("goaway"))["reconnectAfterMs"] for bot in bots]) == [0, 250]
    last = await publisher(there, new_id("s"))
    await until(lambda: knows(there, 0), "that it is alone")
    await there.gateway.drain()
    assert (await last.next("goaway"))["reconnectAfterMs"] == 500


async def test_an_event_stored_while_a_subscription_begins_elsewhere_is_delivered(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    for number in range(1, 21):
        board, _ = await asyncio.gather(subscriber(there), bot.acked(f"e{number}"))
        asked = asyncio.create_task(board.subscribe(session_id, 0, ref="r"))
        await bot.acked(f"f{number}")
        await asked
        await board.events(2 * number)
        await board.close()


async def test_an_sse_follower_gets_the_events_of_another_gateway(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    headers = {"Accept": "text/event-stream"}
    async with there.request("GET", f"/sessions/{session_id}/events", headers=headers) as response:
        await watched_elsewhere(here, session_id)
        await bot.acked("a", "b")
        ids: list[bytes] = []
        async with asyncio.timeout(20):
            async for line in response.content:
                ids += [line.strip()] if line.startswith(b"id: ") else []
                if len(ids) == 2:
                    break
    assert ids == [b"id: 1", b"id: 2"]


async def test_signals_reach_the_subscribers_of_another_gateway(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    board = await watching(there, session_id)
    await watched_elsewhere(here, session_id)
    await bot.send({"type": "signal", "key": "interim", "payload": {"text": "hel"}})
    signal = await board.next("signal")
    assert (signal["sessionId"], signal["key"], signal["payload"]) == (session_id, "interim", {"text": "hel"})


async def test_a_late_subscriber_at_another_gateway_gets_the_interim_text_being_spoken(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    await bot.send({"type": "signal", "key": "user_speech", "payload": {"text": "I wou"}})
    await bot.ask({"type": "ping"}, "pong")
    for _ in range(2):  # the second one gets it from its own gateway
        board = await watching(there, session_id)
        assert (await board.next("signal"))["payload"] == {"text": "I wou"}
    await bot.acked("a")  # an utterance of the user
    assert [event["eventId"] for event in await board.events(1)] == ["a"]
    late = await watching(there, session_id)
    await watched_elsewhere(here, session_id)
    await bot.send({"type": "signal", "key": "mark", "payload": {}})
    assert (await late.next("signal"))["key"] == "mark"


async def test_the_newest_signal_of_a_key_arrives_however_many_come_at_once(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    board = await watching(there, session_id)
    await watched_elsewhere(here, session_id)
    await bot.send(*({"type": "signal", "key": "interim", "payload": {"n": n}} for n in range(500)))
    while (await board.next("signal"))["payload"] != {"n": 499}:
        pass


async def test_a_claim_closes_the_publisher_of_another_gateway_at_once(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = new_id("s")
    first = await publisher(here, session_id)
    await first.acked("a")
    second = await publisher(there, session_id)
    assert second.opened["epoch"] == 2
    assert await first.close_code() == 4409
    assert await second.acked("b") == [2]


async def test_an_end_reaches_the_publisher_at_another_gateway_which_may_send_for_the_grace_time(
    start_peers: StartPeers,
) -> None:
    here, there = await start_peers(2, end_grace=1.0)
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    await bot.acked("a")
    ended = await there.post(f"/sessions/{session_id}/complete", {"reason": "operator"})
    assert (await bot.next("completed"))["session"]["endedAt"] == ended["endedAt"]
    assert await bot.acked("b") == [2]
    assert await bot.close_code() == 4410


async def test_an_end_is_pushed_to_the_subscribers_of_another_gateway(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    board = await watching(there, session_id)
    await bot.send({"type": "complete", "reason": "hangup"})
    seen = await board.next("session")
    assert (seen["session"]["status"], seen["session"]["endReason"]) == ("completed", "hangup")


async def test_no_message_is_sent_for_a_session_that_nobody_watches_elsewhere(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    board = await watching(here, session_id)
    await until(lambda: there.parts.peers is not None and there.parts.peers.is_watched(session_id), "its wish")
    assert here.parts.peers is not None
    assert not here.parts.peers.is_watched(session_id)
    await bot.acked(*(f"e{n}" for n in range(20)))
    await board.events(20)
    assert session_id not in there.live


async def test_health_reports_the_state_of_redis(pair: list[Gateway]) -> None:
    for gateway in pair:
        health = await gateway.get("/health")
        assert (health["status"], health["dependencies"]) == ("ok", {"mongodb": "up", "redis": "up"})
        async with gateway.request("GET", "/metrics") as response:
            text = await response.text()
        assert "turnwire_bus_up 1.0" in text
        assert "turnwire_bus_messages_sent_total" in text


async def test_health_of_a_gateway_without_redis_does_not_mention_it(gateway: Gateway) -> None:
    assert (await gateway.get("/health"))["dependencies"] == {"mongodb": "up"}


async def test_gateways_of_another_database_do_not_hear_each_other(
    start_peers: StartPeers, pair: list[Gateway]
) -> None:
    here, _ = pair
    (stranger,) = await start_peers(1, mongodb_database=new_id("other"))
    session_id = await here.create()
    await stranger.create(session_id)
    board = await watching(stranger, session_id)
    await here.fill(session_id, 3)
    await stranger.fill(session_id, 1)
    await board.events(1)
    await board.send({"type": "ping"})
    while (message := await board.receive())["type"] != "pong":
        assert message["type"] == "session"
