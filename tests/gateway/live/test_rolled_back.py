"""A database restored to an older copy: the log goes on from its stored end without a hole, and the loss is logged."""

from __future__ import annotations

import logging

import pytest

from tests.support.gateways import Gateway, new_event, new_id
from tests.support.sockets import publisher, subscriber


async def lose_after(gateway: Gateway, session_id: str, last_seq: int) -> None:
    """The database loses the events after this one, and has been in trouble."""
    events = gateway.store.events
    await events._events.delete_many({"sessionId": session_id, "seq": {"$gt": last_seq}})
    events._condition.trouble("insert", TimeoutError())


async def test_a_log_that_has_lost_its_end_continues_without_a_hole(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    session_id = new_id("s")
    bot, board = await publisher(gateway, session_id), await subscriber(gateway)
    await board.subscribe(session_id, 0)
    assert await bot.acked(*(f"e{n}" for n in range(1, 11))) == list(range(1, 11))
    await board.events(10)
    await lose_after(gateway, session_id, 4)
    with caplog.at_level(logging.ERROR):
        assert await bot.acked("after") == [5]
    assert "has lost events that it confirmed" in caplog.text
    told = await board.next_of("error")
    assert (told["code"], told["ref"]) == ("internal", "r")
    page = await gateway.get(f"/sessions/{session_id}/events")
    assert [(event["seq"], event["eventId"]) for event in page["events"]][3:] == [(4, "e4"), (5, "after")]
    assert gateway.gateway.metrics.log_rollbacks == 1
    assert (await bot.acked("e7"), await bot.acked("e3")) == ([6], [3])


async def test_an_outage_that_lost_no_event_changes_nothing(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.acked("a", "b")
    await lose_after(gateway, session_id, 2)
    assert await bot.acked("c") == [3]
    stored = await gateway.post(f"/sessions/{session_id}/events", new_event("d"), status=201)
    assert stored["seq"] == 4
    assert gateway.gateway.metrics.log_rollbacks == 0
