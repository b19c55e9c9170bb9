"""Several gateways on one database: none answers, accepts, ends or claims from memory alone."""

from __future__ import annotations

import pytest

from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import publisher, subscriber
from turnwire.gateway.live.live_session import LiveSession


@pytest.fixture
async def here(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


@pytest.fixture
async def there(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


async def test_a_claim_ends_even_if_events_of_two_gateways_share_a_millisecond(here: Gateway, there: Gateway) -> None:
    session_id = new_id("s")
    stamp = "2026-01-01T00:00:00.000900Z"
    first = await publisher(here, session_id)
    await first.acked(new_event("e1", timestamp=stamp))
    second = await publisher(there, session_id)
    await second.acked(new_event("e2", timestamp=stamp))
    third = await publisher(here, session_id)
    assert (third.opened["epoch"], third.opened["lastSeq"], third.opened["lastEventId"]) == (3, 2, "e2")
    assert await third.acked("e3") == [3]


async def test_events_acked_elsewhere_are_read_where_a_superseded_publisher_is_still_connected(
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


async def test_a_subscription_goes_live_even_if_memory_is_full(
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
