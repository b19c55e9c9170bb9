"""A gateway that traces, and a real collector of OTLP over HTTP."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from tests.gateway.tracing.collector import Collector, attributes_of, collecting
from tests.support.gateways import Gateway, StartGateway, new_id
from tests.support.sockets import publisher
from turnwire.gateway.config import Config, ConfigError
from turnwire.gateway.tracing.exporting import CountedExporter, Exporting
from turnwire.gateway.tracing.identity import add_trace_ids, identity_of
from turnwire.gateway.tracing.switch import is_traced, tracing_of
from turnwire.gateway.tracing.tracing import Tracing

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture(autouse=True)
def no_variables_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRACES_EXPORTER", "SDK_DISABLED", "EXPORTER_OTLP_PROTOCOL", "SERVICE_NAME", "TRACES_SAMPLER"):
        monkeypatch.delenv(f"OTEL_{name}", raising=False)


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


def tracing_in(gateway: Gateway) -> Tracing:
    tracing = gateway.gateway.tracing
    assert isinstance(tracing, Tracing)
    return tracing


async def flush(gateway: Gateway) -> None:
    """Have the gateway send all spans that have ended."""
    await asyncio.to_thread(tracing_in(gateway).exporting.flush)


async def lost(gateway: Gateway) -> int:
    return next(count for name, _, count in tracing_in(gateway).counts() if name == "trace_spans_lost")


async def call(gateway: Gateway, session_id: str, **options: Any) -> None:
    """Publish a call of one turn with a tool call, which ends."""
    bot = await publisher(gateway, session_id, **options)
    said = [("user_speech", {"text": "hi"}), ("system", {"event": "tool.started", "name": "book", "callId": "t"})]
    said += [("system", {"event": "tool.completed", "name": "book", "callId": "t"}), ("bot_speech", {"text": "yes"})]
    events = [{"eventId": f"e{n}", "type": kind, "payload": payload} for n, (kind, payload) in enumerate(said)]
    await bot.ask({"type": "append", "events": events}, "ack")
    await bot.ask({"type": "complete"}, "completed")


async def test_a_call_is_sent_as_part_of_the_trace_in_the_publishers_handshake(
    start_gateway: StartGateway, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=voice")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    gateway = await start_gateway(tracing="on", end_grace=0)
    session_id = new_id("s")
    await call(gateway, session_id, headers=TRACEPARENT)
    await gateway.stop()  # sends what is left
    root, turn, tool = (collector.one(name) for name in ("call", "invoke_agent", "execute_tool book"))
    assert root.parent_span_id.hex() == PARENT
    assert {span.trace_id.hex() for span in (root, turn, tool)} == {TRACE}
    assert (turn.parent_span_id, tool.parent_span_id) == (root.span_id, turn.span_id)
    assert attributes_of(root.attributes)["gen_ai.conversation.id"] == session_id
    assert attributes_of(tool.attributes)["gen_ai.operation.name"] == "execute_tool"
    assert {resource["service.name"] for resource in collector.resources} == {"turnwire"}
    assert collector.resources[0]["deployment.environment.name"] == "test"
    assert collector.headers[0]["x-team"] == "voice"


async def test_the_trace_of_a_handshake_is_kept_with_the_session_when_it_is_created_and_when_it_is_claimed(
    start_gateway: StartGateway, collector: Collector
) -> None:
    gateway = await start_gateway(tracing="on")
    created, claimed, untraced = new_id("s"), await gateway.create(), await gateway.create()
    for session_id, headers in ((created, TRACEPARENT), (claimed, TRACEPARENT), (claimed, {}), (untraced, {})):
        await publisher(gateway, session_id, headers=headers)
    stored = [await gateway.store.sessions.load(each) for each in (created, claimed, untraced)]
    assert [each and each.traceparent for each in stored] == [TRACEPARENT["traceparent"]] * 2 + [None]


async def test_requests_and_commits_are_spans_and_requests_continue_their_clients_trace(
    start_gateway: StartGateway, collector: Collector
) -> None:
    gateway = await start_gateway(tracing="on")
    session_id = await gateway.create()
    body = {"events": [{"eventId": "a", "type": "system", "payload": {}}]}
    await gateway.post(f"/sessions/{session_id}/events?sessionId={session_id}", body, status=201, headers=TRACEPARENT)
    await gateway.refused("GET", "/sessions/unknown", 404)
    await gateway.refused("PROPFIND", "/sessions", 405)
    await gateway.get("/health")
    await flush(gateway)
    request, commit = collector.one("POST /sessions/{session_id}/events"), collector.one("insert events")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    shown = attributes_of(request.attributes)
    assert shown["http.route"] == "/sessions/{session_id}/events"
    assert shown["http.response.status_code"] == 201
    assert shown["url.path"] == f"/sessions/{session_id}/events"
    assert shown["gen_ai.conversation.id"] == session_id
    missing = collector.one("GET /sessions/{session_id}")
    assert attributes_of(missing.attributes)["http.response.status_code"] == 404
    assert missing.trace_id != request.trace_id
    assert attributes_of(collector.one("HTTP").attributes)["http.request.method"] == "_OTHER"
    assert attributes_of(commit.attributes) == {
        "db.system.name": "mongodb",
        "db.namespace": gateway.gateway.config.mongodb_database,
        "db.collection.name": "events",
        "db.operation.name": "insert",
        "db.operation.batch.size": 1,
    }
    assert commit.start_time_unix_nano <= commit.end_time_unix_nano
    assert not commit.parent_span_id
    assert not [span for span in collector.spans if "health" in span.name]


@contextmanager
def logged_ids(logger: str) -> Iterator[list[tuple[str, str]]]:
    """The ids of the trace and the span of each line that is logged in the block."""
    lines: list[tuple[str, str]] = []

    def keep(record: logging.LogRecord) -> bool:
        line = add_trace_ids(None, "info", {"event": record.getMessage()})
        lines.append((str(line.get("trace_id")), str(line.get("span_id"))))
        return False

    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.INFO)
    log.addFilter(keep)
    try:
        yield lines
    finally:
        log.removeFilter(keep)
        log.setLevel(level)


async def test_log_lines_about_a_session_have_the_trace_ids_of_its_call(
    start_gateway: StartGateway, collector: Collector
) -> None:
    gateway = await start_gateway(tracing="on")
    session_id = await gateway.create(metadata=TRACEPARENT)
    record = await gateway.store.sessions.load(session_id)
    assert record is not None
    with logged_ids("turnwire.session") as lines:
        async with gateway.request("DELETE", f"/sessions/{session_id}") as answer:
            assert answer.status == 204
    assert lines == [(TRACE, f"{identity_of(record).span_id:016x}")]


async def test_an_error_of_the_gateway_is_logged_with_the_ids_of_the_requests_span(
    start_gateway: StartGateway, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await start_gateway(tracing="on")

    async def broken(_session_id: str) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(gateway.parts.requests, "view", broken)
    with logged_ids("turnwire") as lines:
        await gateway.refused("GET", "/sessions/s", 500, headers=TRACEPARENT)
    await flush(gateway)
    span = collector.one("GET /sessions/{session_id}")
    assert lines == [(TRACE, span.span_id.hex())]
    assert attributes_of(span.attributes)["error.type"] == "500"


async def test_websockets_and_event_streams_get_no_spans(start_gateway: StartGateway, collector: Collector) -> None:
    gateway = await start_gateway(tracing="on")
    session_id = await gateway.create()
    await publisher(gateway, session_id)
    async with gateway.request("GET", f"/sessions/{session_id}/events", headers={"Accept": "text/event-stream"}):
        await gateway.stop()
    assert [span.name for span in collector.spans] == ["POST /sessions"]


@pytest.mark.parametrize("answers", [False, True], ids=["closed", "silent"])
async def test_a_collector_that_is_away_or_silent_stops_neither_acks_nor_the_gateway(
    answers: bool, start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    never = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if not answers:
        server.close()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    gateway = await start_gateway(tracing="on", end_grace=0)
    for _ in range(2):
        await call(gateway, new_id("s"))
    async with asyncio.timeout(20):
        while not await lost(gateway):
            await asyncio.sleep(0.01)
    await call(gateway, new_id("s"))
    await gateway.stop()
    never.set()
    server.close()
    await server.wait_closed()
    assert caplog.text.count("do not reach the collector") == 1


async def test_spans_that_arrive_again_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    class Flaky:
        result = SpanExportResult.FAILURE

        def export(self, spans: object) -> SpanExportResult:
            return self.result

    flaky = Flaky()
    counted = CountedExporter(flaky)  # type: ignore[arg-type]  # only `export` is asked
    with caplog.at_level(logging.INFO):
        for result in (SpanExportResult.FAILURE, SpanExportResult.FAILURE, *[SpanExportResult.SUCCESS] * 2):
            flaky.result = result
            counted.export([])
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
    ],
)
async def test_variables_that_cannot_be_followed_are_refused_at_the_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name[:8]):
        Exporting()


@pytest.mark.parametrize(("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")])
def test_the_variables_can_turn_tracing_off(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(tracing="on")
    assert is_traced(config)
    monkeypatch.setenv(name, value)
    assert not is_traced(config)


def test_without_the_extra_the_settings_are_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "turnwire.gateway.tracing.tracing", None)
    with pytest.raises(ConfigError, match=r"pip install 'turnwire\[otel\]'"):
        tracing_of(Config(tracing="on"), None)  # type: ignore[arg-type]  # is not asked


OFF = """
import asyncio, sys
from turnwire.gateway.config import Config
from turnwire.gateway.running import serve, workers
from turnwire.gateway.running.app import Gateway
from turnwire.store.mongo import Store

async def main():
    config = Config(mongodb_uri="mongodb://127.0.0.1:1", auth="none")
    store = Store.connect(config.mongodb_uri, config.mongodb_database)
    gateway = Gateway(config, store)
    runner = gateway.make_runner()
    on_path = (store.events.on_commit, runner._guard, runner._answered)
    print([name for name in sys.modules if "opentelemetry" in name or "gateway.tracing." in name])
    print([type(each).__qualname__ for each in on_path], gateway.parts.context.task_context(None))
    await store.close()

asyncio.run(main())
"""


@pytest.mark.slow
def test_while_tracing_is_off_opentelemetry_is_not_imported_and_no_function_is_wrapped() -> None:
    done = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['turnwire.gateway.tracing.switch']", "['method', 'Guard', 'method'] None"], (
        done.stderr
    )
