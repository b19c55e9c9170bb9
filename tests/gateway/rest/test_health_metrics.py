"""Health as load balancers and orchestrators ask for it, and metrics as Prometheus does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateways import Gateway, Json, new_event, new_id
from tests.support.sockets import publisher
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.times import parse_time
from turnwire.store.condition import AWAY, StorageState
from turnwire.store.probe import StorageProbe
from turnwire.version import __version__


@asynccontextmanager
async def without_storage(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The database does not answer pings, and its last known state is old."""
    with monkeypatch.context() as patch:
        probe = gateway.gateway.probe
        patch.setattr(probe, "_ask_storage", no)
        patch.setattr(probe, "_fresh_until", 0.0)
        patch.setattr(probe, "_recent_until", 0.0)
        yield


async def no() -> StorageState:
    return StorageState(False, AWAY)


async def health(gateway: Gateway, path: str, status: int) -> Json:
    async with gateway.request("GET", path) as response:
        assert response.status == status, await response.text()
        assert response.headers["Cache-Control"] == "no-store"
        assert ("Retry-After" in response.headers) == (status == 503)
        answer = await response.json()
    assert set(answer) == {"status", "timestamp", "service", "version", "dependencies"}
    assert (answer["service"], answer["version"]) == ("turnwire", __version__)
    assert parse_time(answer["timestamp"]).year > 2000
    return answer


async def test_a_serving_gateway_is_healthy(gateway: Gateway) -> None:
    for path in ("/health", "/health/live", "/health/ready"):
        answer = await health(gateway, path, 200)
        assert (answer["status"], answer["dependencies"]) == ("ok", {"mongodb": "up"})


async def test_without_its_database_a_gateway_is_live_but_not_ready(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with without_storage(gateway, monkeypatch):
        for path, status, text in (
            ("/health", 503, "down"),
            ("/health/ready", 503, "down"),
            ("/health/live", 200, "degraded"),
        ):
            answer = await health(gateway, path, status)
            assert (answer["status"], answer["dependencies"]) == (text, {"mongodb": "down"})


async def test_a_draining_gateway_is_not_ready(gateway: Gateway) -> None:
    gateway.gateway.connections.leaving = True
    assert (await health(gateway, "/health/ready", 503))["status"] == "degraded"
    assert (await health(gateway, "/health", 200))["status"] == "degraded"
    assert (await health(gateway, "/health/live", 200))["dependencies"] == {"mongodb": "up"}


async def test_a_draining_gateway_says_so_while_its_database_is_silent(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Balancers give up a check after seconds, and would go on sending clients here until then."""
    answered = asyncio.Event()

    async def silent() -> StorageState:
        await answered.wait()
        return StorageState(True)

    gateway.gateway.connections.leaving = True
    with monkeypatch.context() as patch:
        patch.setattr(gateway.gateway.probe, "_ask_storage", silent)
        patch.setattr(gateway.gateway.probe, "_fresh_until", 0.0)
        await health(gateway, "/health/ready", 503)
        assert not answered.is_set()
        answered.set()


# --- the probe -------------------------------------------------------------------------------------------------------


class Ping:
    """Counts the pings, and answers them when the test says so."""

    def __init__(self) -> None:
        self.count = 0
        self.answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> StorageState:
        self.count += 1
        return StorageState(await asyncio.shield(self.answer))


async def test_concurrent_health_requests_share_one_ping() -> None:
    ping = Ping()
    probe = StorageProbe(ping)
    asking = [asyncio.create_task(probe.is_up()) for _ in range(100)]
    while not ping.count:
        await asyncio.sleep(0)
    ping.answer.set_result(True)
    assert await asyncio.gather(*asking) == [True] * 100
    assert await probe.is_up()
    assert ping.count == 1


async def test_a_health_client_that_leaves_does_not_cancel_the_shared_ping() -> None:
    ping = Ping()
    probe = StorageProbe(ping)
    impatient = asyncio.create_task(probe.is_up())
    patient = asyncio.create_task(probe.is_up())
    while not ping.count:
        await asyncio.sleep(0)
    impatient.cancel()
    ping.answer.set_result(True)
    assert await patient
    assert impatient.cancelled() or await asyncio.wait([impatient])


async def test_liveness_does_not_wait_for_a_database_that_hangs() -> None:
    ping = Ping()
    probe = StorageProbe(ping)
    assert not await probe.is_up(patience=0.01)
    await probe.close()
    assert ping.count == 1


async def test_a_database_ping_that_raises_means_down(caplog: pytest.LogCaptureFixture) -> None:
    ping = Ping()
    ping.answer.set_exception(RuntimeError("no"))
    assert not await StorageProbe(ping).is_up()
    assert "could not even be asked" in caplog.text


# --- metrics ---------------------------------------------------------------------------------------------------------

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(gateway: Gateway) -> Callable[..., float]:
    """Return a function from a name and labels to the value of that sample, 0 if there is none."""
    async with gateway.request("GET", "/metrics") as response:
        assert response.status == 200
        assert response.content_type == "text/plain"
        text = await response.text()
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name, frozenset(sample.labels.items())] = sample.value

    def value(name: str, **labels: str) -> float:
        return samples.get((name, frozenset(labels.items())), 0.0)

    value.names = {name for name, _ in samples}  # type: ignore[attr-defined]
    return value


async def test_metrics_count_events(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 7)
    await gateway.post(f"/sessions/{session_id}/events", new_event("e1"), status=201)
    value = await scrape(gateway)
    assert value("turnwire_events_stored_total") == 7
    assert value("turnwire_events_duplicate_total") == 1
    assert value("turnwire_commit_events_sum") == 7
    assert value("turnwire_commit_seconds_count") == value("turnwire_commit_events_count") >= 1
    assert value("turnwire_live_sessions") == 1
    assert value("turnwire_storage_up") == 1


async def test_metrics_measure_the_time_to_an_ack_for_publishers(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    for number in range(3):
        await bot.acked(f"e{number}")
    await gateway.post(f"/sessions/{session_id}/events", new_event("by-rest"), status=201)
    value = await scrape(gateway)
    assert value("turnwire_ack_seconds_count") == 3
    assert value("turnwire_ack_seconds_sum") > 0


async def test_metrics_count_requests_by_route_and_never_by_path(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await gateway.get(f"/sessions/{session_id}")
    await gateway.refused("GET", "/sessions/nobody", 404)
    await gateway.refused("GET", "/secret/path", 404)
    await gateway.refused("PROPFIND", "/sessions", 405)
    value = await scrape(gateway)
    route = "/sessions/{session_id}"
    for method, path, status, count in (
        ("GET", route, "200", 1),
        ("GET", route, "404", 1),
        ("GET", "unmatched", "404", 1),
        ("OTHER", "unmatched", "405", 1),
        ("POST", "/sessions", "200", 1),
    ):
        assert value("turnwire_http_requests_total", method=method, route=path, status=status) == count
    assert value("turnwire_http_request_seconds_count", method="GET", route=route) == 2


async def test_metrics_gauge_open_connections(gateway: Gateway) -> None:
    session_id = await gateway.create()
    async with gateway.client.ws_connect(f"{gateway.ws_url}/sessions/{session_id}/publish") as publisher:
        await publisher.receive_json()
        async with gateway.client.ws_connect(f"{gateway.ws_url}/subscribe") as subscriber:
            await subscriber.send_json({"type": "ping"})
            await subscriber.receive_json()
            value = await scrape(gateway)
            assert (value("turnwire_publishers"), value("turnwire_subscribers")) == (1, 1)
            assert value("turnwire_frames_received_total") == 1
    route = "/sessions/{session_id}/publish"
    async with asyncio.timeout(10):
        while True:
            value = await scrape(gateway)
            opened = [
                value("turnwire_http_requests_total", method="GET", route=path, status="101")
                for path in ("/subscribe", route)
            ]
            if opened == [1, 1]:
                break
            await asyncio.sleep(0.01)
    assert (value("turnwire_publishers"), value("turnwire_subscribers")) == (0, 0)
    assert value("turnwire_http_request_seconds_count", method="GET", route=route) == 0


async def test_metrics_expose_takeovers_nacks_duplicates_and_database_restarts(gateway: Gateway) -> None:
    metrics = gateway.gateway.metrics
    metrics.takeover()
    metrics.fell_behind()
    metrics.nacked(ErrorCode.EVENT_CONFLICT, 3)
    metrics.duplicates(2)
    metrics.embedded_restarts = lambda: 4
    value = await scrape(gateway)
    assert value("turnwire_takeovers_total") == 1
    assert value("turnwire_subscriber_switches_total") == 1
    assert value("turnwire_nacks_total", code="event_conflict") == 3
    assert value("turnwire_events_duplicate_total") == 2
    assert value("turnwire_embedded_restarts_total") == 4


async def test_metrics_show_that_the_database_is_away(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async with without_storage(gateway, monkeypatch):
        assert (await scrape(gateway))("turnwire_storage_up") == 0


async def test_every_metric_has_the_prefix_turnwire(gateway: Gateway) -> None:
    names: set[str] = (await scrape(gateway)).names  # type: ignore[attr-defined]
    others = {name for name in names if not name.startswith("turnwire_")}
    assert all(name.startswith(("process_", "python_gc_")) for name in others)
    assert not any(name.endswith("_created") for name in names)


async def test_metrics_are_served_as_openmetrics_on_request(gateway: Gateway) -> None:
    headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with gateway.request("GET", "/metrics", headers=headers) as response:
        assert response.content_type == "application/openmetrics-text"
        assert (await response.text()).endswith("# EOF\n")


async def test_metrics_count_a_request_whose_client_has_left(gateway: Gateway) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    await writer.drain()
    writer.transport.abort()
    async with asyncio.timeout(10):
        counted = {"method": "POST", "route": "/sessions", "status": "499"}
        while not (await scrape(gateway))("turnwire_http_requests_total", **counted):
            await asyncio.sleep(0.01)
