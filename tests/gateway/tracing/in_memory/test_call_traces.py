"""When the traces of calls are made, and which are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler

from tests.support.in_memory import MemoryGateway, event, pass_time
from turnwire.gateway.tracing.call_traces import CallTraces
from turnwire.gateway.tracing.exporting import Ids
from turnwire.gateway.tracing.identity import identity_of
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import Event

GRACE = 30.0
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0{}"


class Traced:
    """The traces of a gateway's calls."""

    def __init__(self, gateway: MemoryGateway, sampler: Sampler | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        self.gateway = gateway
        ids = Ids()
        provider = TracerProvider(sampler=sampler, id_generator=ids, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        clock = asyncio.get_running_loop().time
        self.calls = CallTraces(
            gateway.store.events, provider.get_tracer("test"), ids, clock=clock, end_grace=GRACE, texts=False
        )

    @property
    def names(self) -> list[str]:
        return sorted(span.name for span in self.exporter.get_finished_spans())

    async def end_call(self, session_id: str = "s", **fields: object) -> None:
        """Have a call of one turn end."""
        live = await self.gateway.create(session_id, event("e1", {"text": "hi"}), **fields)
        await self.gateway.end(live)
        self.calls.ended(live.state)


@pytest.fixture
async def traced(here: MemoryGateway) -> Traced:
    return Traced(here)


@pytest.fixture
async def running(traced: Traced) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.get_running_loop().create_task(traced.calls.run())
    yield task
    task.cancel()


ONE_TURN = ["call", "invoke_agent", "user_speech"]


async def test_a_call_has_its_trace_after_the_grace_time_with_what_came_late(
    traced: Traced, running: asyncio.Task[None]
) -> None:
    await traced.end_call()
    await pass_time(GRACE - 1)
    assert traced.names == []
    await traced.gateway.append(await traced.gateway.open(), event("e2", {"text": "bye"}))
    await pass_time(2)
    assert traced.names == [*ONE_TURN, "user_speech"]
    spans = {span.name: span for span in traced.exporter.get_finished_spans()}
    call = identity_of(await traced.gateway.stored())
    assert spans["call"].context.trace_id == call.trace_id
    assert spans["call"].context.span_id == call.span_id
    assert spans["call"].parent is None
    assert spans["invoke_agent"].parent == spans["call"].context


async def test_a_call_of_a_bots_own_trace_is_part_of_it(traced: Traced, running: asyncio.Task[None]) -> None:
    await traced.end_call(metadata={"traceparent": TRACEPARENT.format(1)})
    await pass_time(GRACE + 1)
    for span in traced.exporter.get_finished_spans():
        assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
        if span.name == "call":
            assert span.parent is not None
            assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert traced.names == ONE_TURN


@pytest.mark.parametrize("traceparent", [None, TRACEPARENT.format(0)])
async def test_the_log_of_a_call_that_is_not_sampled_is_not_read(
    here: MemoryGateway, traceparent: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced = Traced(here, ALWAYS_OFF if traceparent is None else ParentBased(ALWAYS_OFF))
    await traced.end_call(metadata={} if traceparent is None else {"traceparent": traceparent})
    monkeypatch.setattr(traced.calls, "_log", None)
    await traced.calls.finish()
    assert traced.names == []


async def test_an_erased_call_has_no_trace_and_the_next_one_has_its_own(traced: Traced) -> None:
    for session_id in ("erased", "kept"):
        await traced.end_call(session_id)
    await traced.gateway.parts.erasing.erase("erased", force=False)
    await traced.calls.finish()
    assert traced.names == ONE_TURN


async def test_while_the_storage_is_away_a_trace_waits(
    traced: Traced, running: asyncio.Task[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    await traced.end_call()
    log, away = traced.gateway.store.events, True
    read = log.read

    async def flaky(session_id: str, first: int, last: int, life: int | None = None) -> list[Event]:
        if away:
            raise StorageUnavailable
        return await read(session_id, first, last, life)

    monkeypatch.setattr(log, "read", flaky)
    await pass_time(GRACE + 600)
    assert traced.names == []
    away = False
    await pass_time(1)
    assert traced.names == ONE_TURN


async def test_a_stop_makes_the_traces_of_calls_that_have_just_ended(traced: Traced) -> None:
    await traced.end_call()
    await traced.calls.finish()
    assert traced.names == ONE_TURN


async def test_a_stop_does_not_wait_for_a_storage_that_is_away(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    await traced.end_call()

    async def away(*_: object) -> list[Event]:
        raise StorageUnavailable

    monkeypatch.setattr(traced.gateway.store.events, "read", away)
    await traced.calls.finish()
    assert traced.names == []


async def test_a_trace_that_fails_is_logged_and_does_not_end_the_others(
    traced: Traced, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for session_id in ("bad", "good"):
        await traced.end_call(session_id)
    read = traced.gateway.store.events.read

    async def broken(session_id: str, first: int, last: int, life: int | None = None) -> list[Event]:
        if session_id == "bad":
            raise ValueError("broken")
        return await read(session_id, first, last, life)

    monkeypatch.setattr(traced.gateway.store.events, "read", broken)
    await traced.calls.finish()
    assert traced.names == ONE_TURN
    assert "session 'bad' has no trace" in caplog.text
