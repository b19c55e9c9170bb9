"""Which trace a call belongs to, and which trace a log line belongs to.

The ids of a call follow from its session, so every gateway knows them without asking another. They come from the
`traceparent` that arrived with the call, or else from the session's id and start.
"""

from __future__ import annotations

from contextvars import Context as TaskContext
from contextvars import ContextVar
from hashlib import blake2b
from typing import Final, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.typing import EventDict, WrappedLogger

from turnwire.gateway.live.state import SessionState
from turnwire.protocol.times import to_millis
from turnwire.protocol.values import unpacked
from turnwire.store.session_record import SessionRecord

TRACEPARENT: Final = "traceparent"
_LONGEST: Final = 128
_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8
_NOTHING: Final = Context()

_CALL: ContextVar[SessionState] = ContextVar("turnwire.call")
"""The session whose task is running."""


class CallIdentity(NamedTuple):
    """The ids of a call's outermost span, and of the span in another service's trace that contains it."""

    trace_id: int
    span_id: int
    parent: Context
    """Empty if no such span contains it."""


def identity_of(record: SessionRecord) -> CallIdentity:
    """Return the ids of a call. A `traceparent` in the metadata takes precedence over one in the publisher's
    handshake."""
    own = f"{record.session_id}\0{to_millis(record.started_at)}".encode()
    digest = blake2b(own, digest_size=_TRACE_BYTES + _SPAN_BYTES).digest()
    trace_id, span_id = int.from_bytes(digest[:_TRACE_BYTES]), int.from_bytes(digest[_TRACE_BYTES:])
    for given in (unpacked(record.metadata).get(TRACEPARENT), record.traceparent):
        parent = _context_of(given)
        found = trace.get_current_span(parent).get_span_context()
        if found.is_valid:
            return CallIdentity(found.trace_id, span_id, parent)
    return CallIdentity(trace_id, span_id, _NOTHING)


def _context_of(traceparent: object) -> Context:
    if not isinstance(traceparent, str) or len(traceparent) > _LONGEST:
        return _NOTHING
    return TraceContextTextMapPropagator().extract({TRACEPARENT: traceparent}, _NOTHING)


def task_context(state: SessionState) -> TaskContext:
    """Return the context in which the session's task runs, so that its log lines carry the ids of its call."""
    context = TaskContext()
    context.run(_CALL.set, state)
    return context


def add_trace_ids(_logger: WrappedLogger, _method: str, record: EventDict) -> EventDict:
    """Add `trace_id` and `span_id` to a log record that is written for a request or a call."""
    current = trace.get_current_span().get_span_context()
    if current.is_valid:
        return _with_ids(record, current.trace_id, current.span_id)
    state = _CALL.get(None)
    if state is not None:
        call = identity_of(state.record)
        return _with_ids(record, call.trace_id, call.span_id)
    return record


def _with_ids(record: EventDict, trace_id: int, span_id: int) -> EventDict:
    record["trace_id"], record["span_id"] = trace.format_trace_id(trace_id), trace.format_span_id(span_id)
    return record
