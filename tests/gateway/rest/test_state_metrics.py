"""What a scrape says of the gateway's connections, bounds, calls and event loop."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateways import Gateway, StartGateway, new_id
from tests.support.sockets import publisher, subscriber, until
from turnwire.gateway.connections.open_connections import OpenConnection


async def value(gateway: Gateway, name: str, **labels: str) -> float | None:
    """Return this sample of `turnwire_<name>`; None if there is none."""
    async with gateway.request("GET", "/metrics") as response:
        text = await response.text()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if (sample.name, sample.labels) == (f"turnwire_{name}", labels):
                return sample.value
    return None


async def test_open_connections_are_counted_by_role(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await publisher(gateway, session_id)
    for _ in range(2):
        await subscriber(gateway)
    headers = {"Accept": "text/event-stream"}
    async with gateway.request("GET", f"/sessions/{session_id}/events", headers=headers):
        counts = [await value(gateway, "connections", role=role) for role in ("publisher", "subscriber", "stream")]
    assert counts == [1, 2, 1]


class Unseen(set[OpenConnection]):
    """Connections that nobody may look at one by one."""

    def __iter__(self) -> Iterator[OpenConnection]:
        raise AssertionError("somebody looks at all of them")


async def test_a_scrape_does_not_look_at_each_connection(gateway: Gateway) -> None:
    await publisher(gateway, await gateway.create())
    connections = gateway.gateway.connections
    seen, connections.connections = connections.connections, Unseen(connections.connections)
    try:
        counts = {family.name: family.samples for family in gateway.gateway.metrics.registry.collect()}
    finally:
        connections.connections = seen
    assert [sample.value for sample in counts["turnwire_publishers"]] == [1]
    assert counts["turnwire_outbox_bytes"]


async def test_the_used_share_of_each_bound_is_shown_unless_the_bound_is_turned_off(
    start_gateway: StartGateway,
) -> None:
    gateway = await start_gateway(max_connections=4, max_live_sessions=10, max_live_bytes=1_000_000, max_streams=0)
    await publisher(gateway, await gateway.create())
    assert await value(gateway, "bound_used_ratio", bound="connections") == len(gateway.gateway.arrivals) / 4 > 0
    assert 0.001 < (await value(gateway, "bound_used_ratio", bound="live_bytes") or 0) < 0.1
    assert await value(gateway, "bound_used_ratio", bound="live_sessions") == 0.1
    for bound in ("waiting_bytes", "all_outbox_bytes"):
        assert await value(gateway, "bound_used_ratio", bound=bound) == 0
    assert await value(gateway, "bound_used_ratio", bound="streams") is None


async def test_each_end_is_counted_once_with_the_figures_of_its_call(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.acked("a")
    for _ in range(2):
        await gateway.post(f"/sessions/{session_id}/complete", {"reason": "bye"})
    assert await value(gateway, "sessions_ended_total", status="completed", reason="other") == 1
    assert await value(gateway, "call_seconds_count") == 1


async def test_an_end_at_another_gateway_is_counted_and_audited_there_alone(
    start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = await start_gateway(), await start_gateway()
    session_id = await here.create()
    with caplog.at_level("INFO", "turnwire.audit"):
        caplog.clear()
        await there.post(f"/sessions/{session_id}/complete", {})
        assert (await here.get(f"/sessions/{session_id}"))["status"] == "completed"
    rows = [json.loads(each.getMessage()) for each in caplog.records if each.name == "turnwire.audit"]
    assert [row["audit"] for row in rows if row.get("sessionId") == session_id] == ["session_ended"]
    assert await value(there, "sessions_ended_total", status="completed", reason="none") == 1
    assert await value(here, "sessions_ended_total", status="completed", reason="none") is None


async def test_the_event_loop_is_watched(gateway: Gateway) -> None:
    def looks() -> float:
        return gateway.gateway.metrics.registry.get_sample_value("turnwire_loop_stall_seconds_count") or 0

    await until(lambda: looks() > 0, "a look")
    assert (await value(gateway, "loop_stall_seconds_count") or 0) >= 1
