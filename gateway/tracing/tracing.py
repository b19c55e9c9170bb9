"""Everything that a gateway traces, behind the functions through which it is wired in."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextvars import Context as TaskContext

from opentelemetry.context import Context
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import SpanKind

from turnwire.gateway.http.server import Answered, Guard
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.tracing.call_traces import CallTraces
from turnwire.gateway.tracing.exporting import Exporting
from turnwire.gateway.tracing.identity import task_context
from turnwire.gateway.tracing.requests import RequestSpans
from turnwire.store.event_log import EventLog

_TEXTS = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_NANOS = 1_000_000_000
_ROOT = Context()

Committed = Callable[[int, float], None]


class Tracing:
    """The spans of a gateway: those of requests, commits and calls. Belongs to the gateway's event loop."""

    def __init__(self, log: EventLog, *, database: str, end_grace: float, exporter: SpanExporter | None = None) -> None:
        """`database`: its name. `exporter`: by default the one that the OTEL_* variables name. Raises ConfigError."""
        self.exporting = Exporting(exporter)
        self._database = database
        self._requests = RequestSpans(self.exporting.tracer)
        self._calls = CallTraces(
            log,
            self.exporting.tracer,
            self.exporting.ids,
            clock=asyncio.get_running_loop().time,
            end_grace=end_grace,
            texts=os.environ.get(_TEXTS, "").strip().lower() not in ("", "false", "no_content"),
        )

    def guarded(self, guard: Guard) -> Guard:
        return self._requests.guarded(guard)

    def answered(self, answered: Answered) -> Answered:
        return self._requests.answered(answered)

    def committed(self, committed: Committed) -> Committed:
        """Return the function that counts commits, wrapped so that each commit gets a span."""
        tracer, attributes = self.exporting.tracer, self._commit_attributes()

        def told(stored: int, seconds: float) -> None:
            committed(stored, seconds)
            now = time.time_ns()
            tracer.start_span(
                "insert events",
                _ROOT,
                SpanKind.CLIENT,
                attributes | {"db.operation.batch.size": stored},
                start_time=now - int(seconds * _NANOS),
            ).end(now)

        return told

    def _commit_attributes(self) -> dict[str, str | int]:
        return {
            "db.system.name": "mongodb",
            "db.namespace": self._database,
            "db.collection.name": "events",
            "db.operation.name": "insert",
        }

    def task_context(self, state: SessionState) -> TaskContext | None:
        return task_context(state)

    def call_ended(self, state: SessionState) -> None:
        self._calls.ended(state)

    def counts(self) -> Iterator[tuple[str, str, int]]:
        yield from self.exporting.counts()

    async def run(self) -> None:
        """Make the traces of calls for as long as the gateway runs."""
        await self._calls.run()

    async def close(self) -> None:
        """Send the remaining spans, within about two seconds."""
        await self._calls.finish()
        await self.exporting.close()
