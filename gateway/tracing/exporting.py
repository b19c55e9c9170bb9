"""Sends spans to a collector from a separate thread, through OpenTelemetry's SDK as the OTEL_* variables configure
it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from turnwire.gateway.config import ConfigError
from turnwire.gateway.tracing.brief_session import BriefSession
from turnwire.version import __version__

_CLOSE_SECONDS: Final = 1.0
"""The longest time that a shutdown waits for the remaining spans to be sent."""
_BATCH_SIZE: Final = 128
"""Maximum number of spans in one export. Encoding them takes about 3 ms, during which the event loop gets no turn.
OpenTelemetry's default would take four times as long."""
_SIZES: Final = ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_MAX_QUEUE_SIZE")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SESSIONS: Final = tuple(f"OTEL_PYTHON_EXPORTER_OTLP_HTTP_{kind}CREDENTIAL_PROVIDER" for kind in ("", "TRACES_"))
"""The variables that name a session with credentials."""
_log = logging.getLogger("turnwire.tracing")


class Ids(RandomIdGenerator):
    """Makes random ids, except for a span whose ids are known in advance."""

    def __init__(self) -> None:
        self._trace_id: int | None = None
        self._span_id: int | None = None

    def give(self, trace_id: int, span_id: int) -> None:
        """Give the next span these ids. If the span has a parent, its trace id is the parent's."""
        self._trace_id, self._span_id = trace_id, span_id

    def generate_trace_id(self) -> int:
        given, self._trace_id = self._trace_id, None
        return super().generate_trace_id() if given is None else given

    def generate_span_id(self) -> int:
        given, self._span_id, self._trace_id = self._span_id, None, None
        return super().generate_span_id() if given is None else given


class CountedExporter(SpanExporter):
    """Passes spans on and counts them. Logs once when the collector stops taking them, and once when it takes them
    again."""

    def __init__(self, exporter: SpanExporter, session: BriefSession | None = None) -> None:
        """`session`: the one that the exporter uses, if it is ours."""
        self._exporter = exporter
        self._session = session
        self.sent = 0
        self.lost = 0
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed:
            self.lost += len(spans)
        else:
            self.sent += len(spans)
        if failed and not self._failing:
            fault = "" if self._session is None else self._session.fault
            why = f" ({fault})" if fault else ""
            _log.warning("spans do not reach the collector%s; they are dropped while that lasts", why)
        elif self._failing and not failed:
            _log.info("spans reach the collector again")
        self._failing = failed
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class Exporting:
    """The provider of a gateway's spans, and the exporter behind it."""

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        """`exporter`: by default the one that the OTEL_* variables name. Raises ConfigError if they cannot be
        followed."""
        self.ids = Ids()
        self._exporter = _exporter_of_environment() if exporter is None else CountedExporter(exporter)
        self._provider = TracerProvider(resource=_resource(), id_generator=self.ids, shutdown_on_exit=False)
        self.tracer = self._provider.get_tracer("turnwire", __version__)
        # `CountedExporter` reports a collector that is away; the exporter itself would log every attempt.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        try:
            self._provider.add_span_processor(BatchSpanProcessor(self._exporter, max_export_batch_size=_batch_size()))
        except ValueError as error:
            raise ConfigError(f"OTEL_BSP_*: {error}") from None

    def counts(self) -> Iterator[tuple[str, str, int]]:
        yield "trace_spans_sent", "Spans that a collector has accepted.", self._exporter.sent
        yield "trace_spans_lost", "Spans that could not be sent to a collector.", self._exporter.lost

    def flush(self) -> None:
        """Send all spans that have ended. Blocks the calling thread."""
        self._provider.force_flush()

    async def close(self) -> None:
        """Send the remaining spans, for a second at most. Give up on a collector that does not answer."""
        loop = asyncio.get_running_loop()
        closed = loop.create_future()

        def close() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(_resolve, closed)

        # Python waits for the threads of the loop's executor when the process ends, but not for a daemon thread.
        threading.Thread(target=close, name="close tracing", daemon=True).start()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await closed
        except TimeoutError:
            self._exporter.shutdown()


def _resolve(closed: asyncio.Future[None]) -> None:
    if not closed.done():
        closed.set_result(None)


def _exporter_of_environment() -> CountedExporter:
    wanted = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if wanted != "otlp":
        raise ConfigError(f"OTEL_TRACES_EXPORTER: must be otlp or none (given: {wanted[:100]!r})")
    for name in _PROTOCOLS:
        protocol = os.environ.get(name) or "http/protobuf"
        if protocol != "http/protobuf":
            raise ConfigError(f"{name}: must be http/protobuf (given: {protocol[:100]!r})")
    session = None if any(os.environ.get(name) for name in _SESSIONS) else BriefSession()
    return CountedExporter(OTLPSpanExporter(session=session), session)


def _batch_size() -> int | None:
    """Return the size of an export, or None if the OTEL_* variables set one or say how long spans may wait."""
    return None if any(os.environ.get(name) for name in _SIZES) else _BATCH_SIZE


def _resource() -> Resource:
    """Return what the OTEL_* variables say about this process. The service is `turnwire` unless they name one."""
    found = Resource.create()
    unnamed = str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    own = Resource({SERVICE_NAME: "turnwire"} if unnamed else {})
    return Resource({SERVICE_VERSION: __version__}).merge(found).merge(own)
