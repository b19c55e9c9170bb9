"""REST routes for a session's events: append, and read in seq order as a window, as NDJSON or as server-sent events."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.http.answers import json_answer
from turnwire.gateway.http.body import BodyReader, not_empty
from turnwire.gateway.http.media_types import JSON_TYPE, NDJSON, SSE, wanted_type
from turnwire.gateway.http.query import Query, plain_integer, session_id_of
from turnwire.gateway.rest.sse import SseRoute
from turnwire.gateway.rest.streams import HttpStream, Streams
from turnwire.gateway.sessions.requests import Requests, View
from turnwire.gateway.sessions.windows import FIRST_WINDOW, next_window
from turnwire.gateway.turns import Slices, Turns
from turnwire.protocol.bodies import EventBatch, EventPage, good_events
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import InvalidMessage
from turnwire.protocol.frame_encoder import one_line
from turnwire.protocol.messages import BadEvent, Event, EventIn, Limits
from turnwire.protocol.paging import DEFAULT_WINDOW_LIMIT, MAX_INTEGER, MAX_LIMIT
from turnwire.protocol.rights import Scope
from turnwire.store.event_log import EventLog

_LARGE_BODY = 16 * 1024
"""Size in bytes above which a body is decoded in slices."""


class EventRoutes:
    """`/sessions/{id}/events`."""

    def __init__(
        self,
        limits: Limits,
        bodies: BodyReader,
        requests: Requests,
        log: EventLog,
        sse: SseRoute,
        *,
        streams: Streams,
        turns: Turns,
        slow_timeout: float,
    ) -> None:
        """`slow_timeout`: seconds after which a client that does not read a stream is disconnected."""
        self._limits = limits
        self._bodies = bodies
        self._requests = requests
        self._log = log
        self._sse = sse
        self._streams = streams
        self._turns = turns
        self._slow_timeout = slow_timeout

    async def append_events(self, request: web.Request) -> web.Response:
        session_id = session_id_of(request, self._limits)
        principal_of(request).require(Scope.PUBLISH, session_id)
        body = not_empty(await self._bodies.read(request))
        is_small = len(body) <= _LARGE_BODY
        events, is_batch = JSON.decode_events_body(body, self._limits) if is_small else await self._decode(body)
        stored = await self._requests.append(session_id, events, len(body))
        if not is_batch:
            return json_answer(stored[0].event, status=201, replayed=stored[0].duplicate)
        replayed = all(each.duplicate for each in stored)
        return json_answer(EventBatch(events=[each.event for each in stored]), status=201, replayed=replayed)

    async def _decode(self, body: bytes) -> tuple[list[EventIn], bool]:
        """Return the events of a large body, decoded a few at a time, and whether it was a batch. Raises
        MalformedEvent, TooLarge, InvalidJson, InvalidMessage."""
        raws, is_batch = JSON.split_events_body(body, self._limits)
        slices, decoded = Slices(self._turns), list[EventIn | BadEvent]()
        for raw in raws:
            decoded.append(JSON.decode_new_event(raw, self._limits))
            await slices.pause()
        return good_events(decoded, is_batch=is_batch), is_batch

    async def read_events(self, request: web.Request) -> web.StreamResponse:
        session_id = session_id_of(request, self._limits)
        principal_of(request).require(Scope.READ, session_id)
        media_type = wanted_type(request, (JSON_TYPE, NDJSON, SSE))
        query = Query(request)
        after_seq = query.integer("afterSeq", 0, low=0)
        limit = query.integer("limit", DEFAULT_WINDOW_LIMIT, low=1, high=MAX_LIMIT)
        last_event_id = request.headers.get("Last-Event-ID")
        if last_event_id is not None:
            resumed = plain_integer(last_event_id)
            if resumed is None:
                query.refuse(f"Last-Event-ID must be an integer from 0 to {MAX_INTEGER}")
            elif media_type == SSE:
                after_seq = resumed
        query.check()
        if media_type != JSON_TYPE:
            self._streams.check(request)

        view = await self._requests.view(session_id)
        last_seq = view.session.last_seq
        if media_type == JSON_TYPE:
            return await self._window(view, after_seq, limit)
        if media_type == SSE and after_seq > last_seq:
            name = "afterSeq" if last_event_id is None else "Last-Event-ID"
            raise InvalidMessage(f"{name} is {after_seq}, beyond the last event of the session, {last_seq}")
        if request.method == hdrs.METH_HEAD:
            return web.Response(headers={hdrs.CONTENT_TYPE: media_type})
        if media_type == SSE:
            return await self._sse.follow(request, session_id, after_seq)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        with self._streams.begun(request, session_id, transport.abort) as stream:
            return await self._stream(request, view, after_seq, stream)

    async def _window(self, view: View, after_seq: int, limit: int) -> web.Response:
        events: list[Event] = []
        last_seq = view.session.last_seq
        if after_seq < last_seq:
            events = await self._read(view, after_seq + 1, min(after_seq + limit, last_seq))
        next_after_seq = events[-1].seq if events else after_seq
        return json_answer(EventPage(events=events, last_seq=last_seq, next_after_seq=next_after_seq))

    async def _read(self, view: View, first: int, last: int) -> list[Event]:
        return await self._log.read(view.session.session_id, first, last, view.life)

    async def _stream(self, request: web.Request, view: View, after_seq: int, stream: HttpStream) -> web.StreamResponse:
        """Stream the rest of the log, one event per line, in constant memory.

        Raises ConnectionResetError if the client stops reading.
        """
        last_seq = view.session.last_seq
        window = FIRST_WINDOW
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: NDJSON})
        while True:
            lines = b""
            if after_seq < last_seq:
                events = await self._read(view, after_seq + 1, min(after_seq + window, last_seq))
                lines = b"".join(one_line(JSON.encode(event)) + b"\n" for event in events)
                after_seq = events[-1].seq if events else last_seq
                window = next_window(len(events), len(lines))
            if not response.prepared:  # after the first read, which may still fail with an error answer
                await response.prepare(request)
            if not lines:
                break
            await self._write(response, lines, stream)
        await response.write_eof()
        return response

    async def _write(self, response: web.StreamResponse, lines: bytes, stream: HttpStream) -> None:
        stream.part_bytes = len(lines)
        try:
            async with asyncio.timeout(self._slow_timeout):
                await response.write(lines)
        except TimeoutError:
            raise ConnectionResetError("the client has stopped reading") from None
        finally:
            stream.part_bytes = 0
