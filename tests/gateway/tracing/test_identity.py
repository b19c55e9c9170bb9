"""Which trace a call belongs to, and what log lines say of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry import trace

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.tracing.identity import add_trace_ids, identity_of, task_context
from turnwire.store.session_record import SessionRecord

STARTED = datetime(2025, 1, 1, tzinfo=UTC)
TRACE, OTHER = "0af7651916cd43dd8448eb211c80319c", "1bf7651916cd43dd8448eb211c80319d"


def record(**fields: Any) -> SessionRecord:
    return SessionRecord(**{"session_id": "c", "language": "en", "started_at": STARTED, **fields})


def traceparent(trace_id: str = TRACE) -> str:
    return f"00-{trace_id}-b7ad6b7169203331-01"


def trace_of(given: SessionRecord) -> str:
    return trace.format_trace_id(identity_of(given).trace_id)


def test_every_gateway_gives_a_call_the_same_ids_and_another_call_others() -> None:
    mine = identity_of(record())
    assert mine[:2] == identity_of(record(last_seq=7, status="failed"))[:2]
    for other in (record(session_id="d"), record(started_at=STARTED + timedelta(milliseconds=1))):
        theirs = identity_of(other)
        assert mine.trace_id != theirs.trace_id
        assert mine.span_id != theirs.span_id


def test_a_traceparent_in_the_metadata_comes_before_that_of_the_handshake() -> None:
    assert trace_of(record(traceparent=traceparent(OTHER))) == OTHER
    assert trace_of(record(traceparent=traceparent(OTHER), metadata={"traceparent": traceparent()})) == TRACE


@pytest.mark.parametrize(
    "given", [None, 7, "", "00-0-0-01", f"00-{'0' * 32}-b7ad6b7169203331-01", f"{traceparent()}{'x' * 100}", ["a"]]
)
def test_an_invalid_traceparent_is_ignored(given: object) -> None:
    assert identity_of(record(metadata={"traceparent": given})).trace_id == identity_of(record()).trace_id


async def test_log_lines_of_a_sessions_task_carry_the_ids_of_its_call() -> None:
    state = SessionState(record(metadata={"traceparent": traceparent()}), 0.0)

    async def log() -> Any:
        return add_trace_ids(None, "info", {"event": "x"})

    line = await asyncio.get_running_loop().create_task(log(), context=task_context(state))
    assert line == {"event": "x", "trace_id": TRACE, "span_id": f"{identity_of(state.record).span_id:016x}"}
    assert await log() == {"event": "x"}
