"""Makes the traces of calls from their logs after they have ended, whenever there is time."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from msgspec import Struct
from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode, Tracer

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.tracing.call_reader import MOST_EVENTS, CallReader, call_attributes
from turnwire.gateway.tracing.exporting import Ids
from turnwire.gateway.tracing.identity import identity_of
from turnwire.gateway.tracing.shapes import SpanShape
from turnwire.protocol.errors import LogHole, StorageUnavailable
from turnwire.protocol.times import to_millis
from turnwire.store.event_log import READ_WINDOW, EventLog
from turnwire.store.session_record import SessionRecord

_MOST_WAITING: Final = 20_000
"""Maximum number of calls that wait for their trace. Beyond that, the oldest gets none."""
_AT_ONCE: Final = 10
"""The number of spans made before other tasks get a turn: each span takes about 30 µs."""
_PAUSE_FACTOR: Final = 3
"""The pause after a read of the log, as a multiple of the read's duration: acks come first."""
_RETRY_SECONDS: Final = 0.5
_FINISH_SECONDS: Final = 1.0
"""The longest time that a shutdown spends on the traces of calls that have just ended."""
_NANOS: Final = 1_000_000
"""Nanoseconds per millisecond."""

_log = logging.getLogger("turnwire.tracing")


class _Due(Struct):
    at: float
    record: SessionRecord


class CallTraces:
    """Makes the trace of each ended call after its grace time. Owned by the task that calls `run`.

    Sampling is decided before the log is read, so a call that is not sampled costs nothing more.
    """

    def __init__(
        self,
        log: EventLog,
        tracer: Tracer,
        ids: Ids,
        *,
        clock: Callable[[], float],
        end_grace: float,
        texts: bool,
    ) -> None:
        """`texts`: whether traces show what was said, and the arguments and results of tools."""
        self._log = log
        self._tracer = tracer
        self._ids = ids
        self._clock = clock
        self._end_grace = end_grace
        self._texts = texts
        self._pauses: float = _PAUSE_FACTOR
        self._due: deque[_Due] = deque(maxlen=_MOST_WAITING)
        self._wake = asyncio.Event()

    def ended(self, state: SessionState) -> None:
        """Queue the session, to have its trace made once it takes no more events."""
        self._due.append(_Due(self._clock() + self._end_grace, state.record))
        self._wake.set()

    async def run(self) -> None:
        """Make traces for as long as the gateway runs."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._due:
                await asyncio.sleep(max(0.0, self._due[0].at - self._clock()))
                await self._trace_next()

    async def finish(self) -> None:
        """Make the traces of the calls that are still waiting, for a second at most."""
        self._pauses = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                while self._due:
                    await self._trace_next()

    async def _trace_next(self) -> None:
        record = self._due.popleft().record
        try:
            await self._trace(record)
        except Exception:
            _log.exception("session %r has no trace", record.session_id)

    async def _trace(self, record: SessionRecord) -> None:
        span = self._begin(record)
        if not span.is_recording():
            return
        reader = CallReader(record.session(), texts=self._texts)
        if not await self._read(record, reader):
            return
        call = reader.call()
        span.set_attributes(call.attributes)
        await self._make(span, call.children)
        _finish(span, call)

    def _begin(self, record: SessionRecord) -> Span:
        """Begin the span of a call, inside another service's trace if the call came with one."""
        identity = identity_of(record)
        self._ids.give(identity.trace_id, identity.span_id)
        return self._tracer.start_span(
            "call",
            identity.parent,
            attributes=call_attributes(record.session()),
            start_time=to_millis(record.started_at) * _NANOS,
        )

    async def _read(self, record: SessionRecord, reader: CallReader) -> bool:
        """Read the log, a window at a time, with pauses. Return False if the session was erased meanwhile."""
        first = 1
        while first <= (last := min(record.last_seq, MOST_EVENTS)):
            began = self._clock()
            try:
                events = await self._log.read(record.session_id, first, min(first + READ_WINDOW - 1, last), record.life)
            except LogHole:
                return False
            except StorageUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            for event in events:
                reader.take(event)
            first += READ_WINDOW
            await asyncio.sleep(self._pauses * (self._clock() - began))
        return True

    async def _make(self, call: Span, shapes: list[SpanShape]) -> None:
        """Make the spans inside a call, a few at a time."""
        left = deque((call, shape) for shape in shapes)
        made = 0
        while left:
            around, shape = left.popleft()
            span = self._tracer.start_span(
                shape.name,
                trace.set_span_in_context(around),
                attributes=shape.attributes,
                start_time=shape.start * _NANOS,
            )
            _finish(span, shape)
            left.extend((span, child) for child in shape.children)
            made += 1
            if made % _AT_ONCE == 0:
                await asyncio.sleep(0)


def _finish(span: Span, shape: SpanShape) -> None:
    for mark in shape.marks:
        span.add_event(mark.name, mark.attributes, mark.at * _NANOS)
    if shape.error is not None:
        span.set_attribute("error.type", shape.error)
        span.set_status(Status(StatusCode.ERROR, shape.message))
    span.end(shape.end * _NANOS)
