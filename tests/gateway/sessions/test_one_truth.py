"""Several gateways on one database: none answers, accepts, ends or claims from memory alone."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.failpoints import failing
from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import SECONDS, publisher, subscriber, until
from turnwire.gateway.live.live_session import LiveSession
from turnwire.store.sessions import SessionRecord


@pytest.fixture
async def here(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


@pytest.fixture
async def there(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


async def read_until_ended(gateway: Gateway, session_id: str) -> str:
    """The reason of the session's end."""
    async with asyncio.timeout(SECONDS):
        while (session := await gateway.get(f"/sessions/{session_id}"))["endedAt"] is None:
            await asyncio.sleep(0.02)
    return str(session["endReason"])


async def test_a_claim_ends_when_events_of_two_gateways_share_a_millisecond(here: Gateway, there: Gateway) -> None:
    session_id = new_id("s")
    stamp = "2026-01-01T00:00:00.000900Z"
    first = await publisher(here, session_id)
    await first.acked(new_event("e1", timestamp=stamp))
    second = await publisher(there, session_id)
    await second.acked(new_event("e2", timestamp=stamp))
    third = await publisher(here, session_id)
    assert (third.opened["epoch"], third.opened["lastSeq"], third.opened["lastEventId"]) == (3, 2, "e2")
    assert await third.acked("e3") == [3]


async def test_a_read_elsewhere_does_not_hide_that_the_publisher_is_back(start_gateway: StartGateway) -> None:
    quick = {"abandon_after": 1.0, "flush_interval": 0.1}
    here, there = await start_gateway(**quick), await start_gateway(**quick)
    session_id = new_id("s")
    await (await publisher(there, session_id)).close()  # deserted in the memory of that gateway
    bot = await publisher(here, session_id)
    loop = asyncio.get_running_loop()
    over = loop.time() + 3.0
    while loop.time() < over:
        session = await there.get(f"/sessions/{session_id}")
        assert session["endedAt"] is None, session
        await asyncio.sleep(0.1)
    assert await bot.acked("a") == [1]
    await bot.close()
    assert await read_until_ended(there, session_id) == "abandoned"


async def test_what_is_acked_elsewhere_is_read_where_a_superseded_publisher_still_stands(
    here: Gateway, there: Gateway
) -> None:
    session_id = new_id("s")
    old = await publisher(here, session_id)
    await old.acked("a")
    new = await publisher(there, session_id)
    assert await new.acked("b", "c") == [2, 3]
    assert (await here.get(f"/sessions/{session_id}"))["lastSeq"] == 3
    board = await subscriber(here)
    assert (await board.subscribe(session_id, 3))["lastSeq"] == 3
    async with here.request(
        "GET", f"/sessions/{session_id}/events", headers={"Accept": "text/event-stream", "Last-Event-ID": "3"}
    ) as response:
        assert response.status == 200


async def test_nothing_new_is_stored_after_an_end_elsewhere_and_its_grace(start_gateway: StartGateway) -> None:
    here, there = await start_gateway(end_grace=0.4), await start_gateway(end_grace=0.4)
    by_rest, streamed = await here.create(), new_id("s")
    bot = await publisher(here, streamed)
    await bot.acked("a")
    await here.fill(by_rest, 1)
    for session_id in (by_rest, streamed):
        await there.post(f"/sessions/{session_id}/complete", {})
    await asyncio.sleep(0.5)
    envelope = await here.refused("POST", f"/sessions/{by_rest}/events", 409, json=new_event("late"))
    assert envelope["code"] == "session_ended"
    await bot.append("late")
    messages, code = await bot.rest()
    assert code == 4410
    assert not [message for message in messages if message["type"] == "ack"]
    for session_id in (by_rest, streamed):
        assert (await there.get(f"/sessions/{session_id}"))["lastSeq"] == 1


async def test_an_opened_publisher_hears_of_an_event_stored_elsewhere(here: Gateway, there: Gateway) -> None:
    session_id = await here.create()
    await there.fill(session_id, 2)
    bot = await publisher(here, session_id)
    assert (bot.opened["lastSeq"], bot.opened["lastEventId"]) == (2, "e2")


async def test_creating_a_session_again_tells_of_its_end_elsewhere(here: Gateway, there: Gateway) -> None:
    session_id = await here.create()
    await here.fill(session_id, 1)
    await there.post(f"/sessions/{session_id}/complete", {"status": "failed"})
    again = await here.post("/sessions", {"sessionId": session_id, "language": "en"})
    assert (again["status"], again["endedAt"] is None) == ("failed", False)


async def test_an_end_written_by_a_gateway_that_lags_takes_nothing_back(start_gateway: StartGateway) -> None:
    here, there = await start_gateway(flush_interval=0.05), await start_gateway(flush_interval=60)
    session_id = await here.create()
    await there.parts.sessions.open(session_id)
    await here.fill(session_id, 5)
    await until(lambda: not here.live[session_id].state.unwritten, "the fields written")
    ended = await there.post(f"/sessions/{session_id}/complete", {})
    assert ended["lastSeq"] == 5
    stored = await there.store.sessions.load(session_id)
    assert stored is not None
    assert (stored.last_seq, stored.last_event_at is None) == (5, False)


async def test_a_subscription_is_live_although_memory_is_full(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await start_gateway(max_live_sessions=1, flush_interval=0.05)
    first, second = await gateway.create(), await gateway.create()
    requests, evicted = gateway.parts.requests, []
    bring_up_to_date = requests.bring_up_to_date

    async def while_another_wants_the_place(live: LiveSession) -> None:
        await bring_up_to_date(live)
        evicted.append(gateway.parts.sessions.evict(live))

    monkeypatch.setattr(requests, "bring_up_to_date", while_another_wants_the_place)
    board = await subscriber(gateway)
    await board.subscribe(first, 0)
    await board.next("caughtUp")
    assert evicted == [False]
    await gateway.post(f"/sessions/{first}/events", new_event("e1"), status=201)
    assert len(await board.events(1)) == 1
    assert (await gateway.refused("POST", f"/sessions/{second}/events", 503, json=new_event("e1")))[
        "code"
    ] == "overloaded"


async def test_a_start_does_not_load_the_sessions_of_others(start_gateway: StartGateway) -> None:
    here = await start_gateway()
    bots = [await publisher(here, new_id("s")) for _ in range(5)]
    ids = [await here.create() for _ in range(5)]
    there = await start_gateway()
    await there.get("/sessions")
    assert not there.live.keys() & set(ids)
    assert [await bot.acked("a") for bot in bots] == [[1]] * 5


async def test_a_session_without_publisher_or_event_expires(start_gateway: StartGateway) -> None:
    first = await start_gateway(expire_after=1.0, abandon_after=60)
    forgotten, kept = await first.create(), new_id("s")
    bot = await publisher(first, kept)
    await first.stop()
    gateway = await start_gateway(expire_after=1.0, abandon_after=0.8, flush_interval=0.1)
    assert await read_until_ended(gateway, forgotten) == "expired"
    assert bot.opened["epoch"] == 1


async def test_one_who_gives_up_does_not_fail_the_others_that_wait_for_the_same_session(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, start_gateway: StartGateway
) -> None:
    session_id = await gateway.create()
    other = await start_gateway()
    load, goes_on = other.store.sessions.load, asyncio.Event()

    async def load_slowly(session_id: str) -> SessionRecord | None:
        await goes_on.wait()
        return await load(session_id)

    monkeypatch.setattr(other.store.sessions, "load", load_slowly)
    waiting = [asyncio.create_task(other.parts.sessions.open(session_id)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait([waiting[0]])
    goes_on.set()
    lives = await asyncio.gather(*waiting[1:])
    assert lives[0] is lives[1]


async def test_what_waits_for_a_storage_that_is_away_is_bounded(start_gateway: StartGateway, database_uri: str) -> None:
    gateway = await start_gateway(rest_timeout=1.0, max_waiting_bytes=1024 * 1024)
    session_id = await gateway.create()
    big = {"text": "x" * 100_000}
    async with failing(database_uri, "insert"):
        answers = await asyncio.gather(
            *(
                gateway.request("POST", f"/sessions/{session_id}/events", json=new_event(f"e{n}", big))
                for n in range(40)
            )
        )
        assert {answer.status for answer in answers} == {503}
        assert gateway.parts.context.waiting.size <= 1024 * 1024 + 2 * 101_000
        codes = {(await answer.json())["code"] for answer in answers}
        assert codes == {"overloaded", "storage_unavailable"}
    await until(lambda: gateway.parts.context.waiting.size == 0, "the end of the waiting")


async def test_claims_of_clients_that_have_left_are_dropped(start_gateway: StartGateway, database_uri: str) -> None:
    gateway = await start_gateway(rest_timeout=0.3)
    session_id = await gateway.create()
    live = await gateway.parts.sessions.open(session_id)
    async with failing(database_uri, "update", "find"):
        for _ in range(4):
            answers = await asyncio.gather(
                *(gateway.parts.requests.complete(session_id, "completed", None) for _ in range(150)),
                return_exceptions=True,
            )
            assert all(isinstance(answer, Exception) for answer in answers)
        assert len(live._inbox._items) <= 300
    ended = await gateway.post(f"/sessions/{session_id}/complete", {})
    assert ended["status"] == "completed"
