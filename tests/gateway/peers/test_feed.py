"""The sessions feed across gateways, with summaries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.peers.conftest import StartPeers
from tests.support.gateways import Gateway, Json, StartGateway, new_event, new_id
from tests.support.sockets import Socket, publisher, subscriber, until

SOON: dict[str, Any] = {"feed_interval": 0.05}


async def feed(gateway: Gateway, **fields: Json) -> Socket:
    """A subscriber to the feed that has received the existing sessions."""
    board = await subscriber(gateway)
    await board.send({"type": "subscribe", "ref": "f", "feed": "sessions", **fields})
    await board.next("subscribed")
    await board.next("sessions")
    return board


async def told(board: Socket, session_id: str, **fields: Json) -> Json:
    """Return the first change of the session that has these fields."""
    while True:
        message = await board.next_of("session")
        session = message["session"]
        if session["sessionId"] == session_id and fields.items() <= session.items():
            return message


def line(event_id: str, text: str) -> Json:
    return new_event(event_id, {"text": text})


@pytest.fixture
async def pair(start_peers: StartPeers) -> list[Gateway]:
    return await start_peers(2, **SOON)


def hears_of_feeds(gateway: Gateway) -> bool:
    return bool(gateway.parts.feed.subscriptions)


async def test_a_feed_shows_changes_of_sessions_at_another_gateway(pair: list[Gateway]) -> None:
    here, there = pair
    board = await feed(there)
    await until(lambda: hears_of_feeds(here), "the wish for a feed")
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    await told(board, session_id, status="initiated")
    await bot.acked("a", "b")
    await told(board, session_id, status="active", lastSeq=2)
    await bot.send({"type": "complete", "reason": "hangup"})
    await told(board, session_id, status="completed", endReason="hangup")


async def test_a_feed_shows_summaries_of_sessions_at_another_gateway(pair: list[Gateway]) -> None:
    here, there = pair
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    await bot.acked(line("a", "Hello?"))
    board = await feed(there, summaries=True)
    message = await told(board, session_id, lastSeq=1)  # the session at the start of the feed had no summary yet
    while "summary" not in message:
        message = await told(board, session_id, lastSeq=1)
    assert message["summary"]["lastLine"]["text"] == "Hello?"
    await bot.acked(line("b", "Anybody there?"))
    message = await told(board, session_id, lastSeq=2)
    assert message["summary"]["throughSeq"] == 2
    assert message["summary"]["lastLine"]["text"] == "Anybody there?"


async def test_a_second_feed_begins_with_the_sessions_the_first_one_has_heard_of(pair: list[Gateway]) -> None:
    here, there = pair
    first = await feed(there, summaries=True)
    await until(lambda: hears_of_feeds(here), "the wish for a feed")
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    await bot.acked(line("a", "Hello?"))
    message = await told(first, session_id, lastSeq=1)
    assert message["summary"]["throughSeq"] == 1
    second = await subscriber(there)
    await second.send({"type": "subscribe", "ref": "f", "feed": "sessions", "summaries": True})
    await second.next("subscribed")
    snapshot = await second.next("sessions")
    (session,) = [each for each in snapshot["sessions"] if each["sessionId"] == session_id]
    assert (session["status"], session["lastSeq"]) == ("active", 1)
    assert snapshot["summaries"][session_id]["lastLine"]["text"] == "Hello?"


async def test_a_filtered_feed_shows_a_session_that_leaves_the_filter_at_another_gateway(pair: list[Gateway]) -> None:
    here, there = pair
    board = await feed(there, status=["active"])
    await until(lambda: hears_of_feeds(here), "the wish for a feed")
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    await bot.acked("a")
    await told(board, session_id, status="active")
    await bot.send({"type": "complete"})
    await told(board, session_id, status="completed")


async def test_gateways_send_no_feed_news_when_no_feed_is_left(pair: list[Gateway]) -> None:
    here, there = pair
    board = await feed(there)
    await until(lambda: hears_of_feeds(here), "the wish for a feed")
    await board.close()
    await until(lambda: not hears_of_feeds(here), "the end of the wish")


async def test_without_redis_a_feed_shows_sessions_of_other_gateways_once_they_are_written(
    start_gateway: StartGateway,
) -> None:
    settings = {**SOON, "poll_interval": 0.1, "flush_interval": 0.1}
    here, there = await start_gateway(**settings), await start_gateway(**settings)
    board = await feed(there)
    session_id = new_id("s")
    bot = await publisher(here, session_id)
    await told(board, session_id)
    await bot.acked("a", "b")
    await told(board, session_id, status="active", lastSeq=2)
    await bot.send({"type": "complete", "reason": "hangup"})
    await told(board, session_id, status="completed", endReason="hangup")
