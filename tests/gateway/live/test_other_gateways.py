"""A session that is live here and written by another gateway: readers and subscribers here get what is acked there."""

from __future__ import annotations

import pytest

from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import Socket, publisher, subscriber


@pytest.fixture
async def here(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


@pytest.fixture
def session_id() -> str:
    return new_id("s")


@pytest.fixture(autouse=True)
async def bot(here: Gateway, start_gateway: StartGateway, session_id: str) -> Socket:
    """The session's publisher, at another gateway. This gateway knows the head as 1; in the store it is 4."""
    bot = await publisher(await start_gateway(), session_id)
    await here.post(f"/sessions/{session_id}/events", new_event("a"), status=201)
    assert await bot.acked("b", "c", "d") == [2, 3, 4]
    assert here.live[session_id].state.record.last_seq == 1
    return bot


async def test_reading_a_session_live_here_includes_events_stored_elsewhere(here: Gateway, session_id: str) -> None:
    window = await here.get(f"/sessions/{session_id}/events")
    assert ([event["seq"] for event in window["events"]], window["lastSeq"]) == ([1, 2, 3, 4], 4)


async def test_pages_of_a_session_live_here_count_events_stored_elsewhere(here: Gateway, session_id: str) -> None:
    page = await here.get(f"/sessions/{session_id}")
    assert (page["pagination"]["total"], page["lastSeq"], len(page["events"])) == (4, 4, 4)


async def test_ending_a_session_here_includes_events_stored_elsewhere(here: Gateway, session_id: str) -> None:
    assert (await here.post(f"/sessions/{session_id}/complete", {}))["lastSeq"] == 4
    assert (await here.post(f"/sessions/{session_id}/complete", {}))["lastSeq"] == 4


async def test_figures_of_a_session_live_here_include_events_stored_elsewhere(here: Gateway, session_id: str) -> None:
    assert (await here.get(f"/sessions/{session_id}/stats"))["lastSeq"] == 4


async def test_a_list_shows_the_end_of_a_session_at_another_gateway(
    here: Gateway, session_id: str, bot: Socket
) -> None:
    await bot.ask({"type": "complete"}, "completed")
    listed = {each["sessionId"]: each for each in (await here.get("/sessions"))["sessions"]}
    assert (listed[session_id]["status"], listed[session_id]["lastSeq"]) == ("completed", 4)


async def test_a_subscriber_resumes_from_a_seq_stored_elsewhere(here: Gateway, session_id: str) -> None:
    board = await subscriber(here)
    assert (await board.subscribe(session_id, 3))["lastSeq"] == 4
    await board.events(4, after_seq=3)


async def test_subscribers_get_events_that_a_reader_found_in_the_store(
    here: Gateway, session_id: str, bot: Socket
) -> None:
    board = await subscriber(here)
    await board.subscribe(session_id, 0)
    await board.events(4)
    assert await bot.acked("e") == [5]
    await here.get(f"/sessions/{session_id}/events")
    await board.events(5, after_seq=4)
