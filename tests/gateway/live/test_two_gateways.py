"""Two gateways on one database, of which one does not know what the other has just done."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.failpoints import failing
from tests.support.gateways import Gateway, Json, StartGateway, new_event
from tests.support.sockets import publisher, subscriber, until


@pytest.fixture
async def here(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


@pytest.fixture
async def there(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


async def post_event(gateway: Gateway, session_id: str, body: Json) -> tuple[Json, bool]:
    """Return the answer, and whether it says that every event was stored before."""
    async with gateway.request("POST", f"/sessions/{session_id}/events", json=body) as response:
        assert response.status == 201, await response.text()
        return await response.json(), "Idempotent-Replayed" in response.headers


async def in_both(here: Gateway, there: Gateway) -> str:
    """A session that both gateways have in memory, without events."""
    session_id = await here.create()
    await there.parts.sessions.open(session_id)
    return session_id


@pytest.mark.parametrize(
    "fields", [{}, {"timestamp": "2026-01-01T00:00:00.000Z"}], ids=["our time", "the client's time"]
)
async def test_an_event_stored_by_another_gateway_is_answered_as_a_replay(
    here: Gateway, there: Gateway, fields: dict[str, Any]
) -> None:
    session_id = await in_both(here, there)
    first, replayed = await post_event(here, session_id, new_event("e1", {"n": 1}, **fields))
    assert not replayed
    assert await post_event(there, session_id, new_event("e1", {"n": 1}, **fields)) == (first, True)


async def test_a_batch_is_a_replay_only_if_all_its_events_were_stored_before(here: Gateway, there: Gateway) -> None:
    session_id = await in_both(here, there)
    known = [new_event(f"e{n}", {"n": n}) for n in range(3)]
    first, _ = await post_event(here, session_id, {"events": known})
    both, replayed = await post_event(there, session_id, {"events": [new_event("new"), *known]})
    assert not replayed
    assert both["events"][1:] == first["events"]
    assert both["events"][0]["seq"] == 4
    assert await post_event(here, session_id, {"events": [new_event("new")]}) == ({"events": both["events"][:1]}, True)


async def test_a_publisher_gets_a_duplicate_ack_for_an_event_stored_by_another_gateway(
    here: Gateway, there: Gateway
) -> None:
    session_id = await here.create()
    bot = await publisher(here, session_id)
    await post_event(there, session_id, new_event("e1", {"n": 1}))
    await bot.send(
        {"type": "append", "events": [new_event("e1", {"n": 1}), new_event("e2"), new_event("e1", {"n": 2})]}
    )
    answers = await bot.answers(3)
    assert [(answer["type"], answer.get("seq"), answer.get("duplicate", False)) for answer in answers] == [
        ("ack", 1, True),
        ("ack", 2, False),
        ("nack", None, False),
    ]


async def test_reading_a_session_shows_changes_made_at_another_gateway(here: Gateway, there: Gateway) -> None:
    session_id = await in_both(here, there)
    path = f"/sessions/{session_id}"
    board = await subscriber(there)
    await board.subscribe(session_id, 0)
    await board.next("caughtUp")
    for n in (1, 2):
        event, _ = await post_event(here, session_id, new_event(f"e{n}"))
        seen = await there.get(path)
        assert (seen["status"], seen["lastSeq"], seen["lastEventAt"]) == ("active", n, event["timestamp"])
        assert seen["pagination"]["total"] == n
        assert [event["eventId"] for event in await board.events(n, n - 1)] == [f"e{n}"]  # caught up by then
    async with there.request("GET", f"{path}/events", headers={"Accept": "application/x-ndjson"}) as response:
        assert len((await response.text()).splitlines()) == 2
    ended = await here.post(f"{path}/complete", {"reason": "hangup"})
    seen = await there.get(path)
    assert {name: seen[name] for name in ended} == ended
    assert (await board.next_of("session"))["session"] == ended


async def test_a_session_read_after_its_publisher_moved_elsewhere_is_current(here: Gateway, there: Gateway) -> None:
    session_id = await here.create()
    first = await publisher(here, session_id)
    await first.acked("a")
    await first.close()
    await until(lambda: here.live[session_id].state.publisher is None, "its leaving")
    second = await publisher(there, session_id)
    await second.acked("b", "c")
    seen = await here.get(f"/sessions/{session_id}")
    assert [event["eventId"] for event in seen["events"]] == ["a", "b", "c"]
    await until(lambda: here.live[session_id].state.record.epoch == 2, "the news of the other publisher")


@pytest.mark.faults
async def test_an_event_stored_by_an_unconfirmed_own_insert_is_answered_as_new(
    gateway: Gateway, database_uri: str
) -> None:
    session_id = await gateway.create()
    lagging = {"code": 64, "errmsg": "waiting for replication timed out"}
    for n, fields in enumerate(({}, {"timestamp": "2026-01-01T00:00:00.000Z"})):
        event = new_event(f"e{n}", {"n": n}, **fields)
        async with failing(database_uri, "insert", times=1, writeConcernError=lagging):
            stored, replayed = await post_event(gateway, session_id, event)
        assert not replayed
        assert await post_event(gateway, session_id, event) == (stored, True)
