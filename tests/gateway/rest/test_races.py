"""REST: many identical requests at once take effect once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.gateways import Gateway, Json, StartGateway, new_event

TIMES = 50


async def at_once(gateways: list[Gateway], method: str, path: str, bodies: list[Json]) -> list[tuple[int, Json, bool]]:
    """Send one request for each body, all at once. Return status, JSON and whether it was replayed, for each."""

    async def one(gateway: Gateway, body: Json) -> tuple[int, Json, bool]:
        async with gateway.request(method, path, json=body) as response:
            return response.status, await response.json(), "Idempotent-Replayed" in response.headers

    asking = [one(gateways[n % len(gateways)], body) for n, body in enumerate(bodies)]
    return await asyncio.gather(*asking)


def only(answers: list[tuple[int, Json, bool]], status: int) -> Any:
    """Return the one answer that all requests got. Exactly one of them must not be a replay."""
    assert {answered for answered, _, _ in answers} == {status}
    assert [replayed for _, _, replayed in answers].count(False) == 1
    bodies = [body for _, body, _ in answers]
    assert all(body == bodies[0] for body in bodies)
    return bodies[0]


@pytest.fixture(params=[1, 2], ids=["one gateway", "two gateways"])
async def gateways(request: pytest.FixtureRequest, start_gateway: StartGateway) -> list[Gateway]:
    return [await start_gateway() for _ in range(request.param)]


async def test_creating_a_session_many_times_at_once_creates_it_once(gateways: list[Gateway]) -> None:
    bodies = [{"sessionId": "s", "language": "en", "metadata": {"n": n}} for n in range(TIMES)]
    session = only(await at_once(gateways, "POST", "/sessions", bodies), 200)
    listed = await gateways[0].get("/sessions")
    assert listed["sessions"] == [session]


async def test_ending_a_session_many_times_at_once_ends_it_once(gateways: list[Gateway]) -> None:
    session_id = await gateways[0].create()
    bodies = [{"status": ("completed", "failed")[n % 2], "reason": f"r{n}"} for n in range(TIMES)]
    session = only(await at_once(gateways, "POST", f"/sessions/{session_id}/complete", bodies), 200)
    read = await gateways[0].get(f"/sessions/{session_id}")
    assert {name: read[name] for name in session} == session
    assert session["endedAt"] is not None


async def test_posting_an_event_many_times_at_once_stores_it_once(gateways: list[Gateway]) -> None:
    session_id = await gateways[0].create()
    path = f"/sessions/{session_id}/events"
    answers = await at_once(gateways, "POST", path, [new_event("e", {"n": n}) for n in range(TIMES)])
    event = only(answers, 201)
    for gateway in gateways:
        assert (await gateway.get(path))["events"] == [event]


async def test_posting_different_events_at_once_stores_all_without_holes(gateways: list[Gateway]) -> None:
    session_id = await gateways[0].create()
    path = f"/sessions/{session_id}/events"
    bodies = [{"events": [new_event(f"{n}-{k}") for k in range(4)]} for n in range(TIMES)]
    answers = await at_once(gateways, "POST", path, bodies)
    assert {status for status, _, _ in answers} == {201}
    events = [event for _, body, _ in answers for event in body["events"]]
    assert sorted(event["seq"] for event in events) == list(range(1, 4 * TIMES + 1))
    for _, body, _ in answers:
        seqs = [event["seq"] for event in body["events"]]
        assert seqs == sorted(seqs)
    for gateway in gateways:
        async with gateway.request("GET", path, headers={"Accept": "application/x-ndjson"}) as response:
            assert len((await response.text()).splitlines()) == 4 * TIMES
