"""Routes that read a stream: existing items, items that arrive within some seconds, and all items from now on."""

from __future__ import annotations

from functools import partial
from typing import Final

from aiohttp import hdrs, web
from msgspec import Struct

from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.durable_streams.asked import stream_of
from turnwire.gateway.durable_streams.following import StreamFollower
from turnwire.gateway.durable_streams.items import items_of
from turnwire.gateway.durable_streams.offsets import NOW, START, next_cursor, offset_of, seq_of
from turnwire.gateway.durable_streams.refusals import CLOSED, CURSOR, NEXT_OFFSET, TRUE, UP_TO_DATE
from turnwire.gateway.durable_streams.waiting import LongPolling
from turnwire.gateway.http.media_types import JSON_TYPE
from turnwire.gateway.http.query import Query
from turnwire.gateway.rest.sse import SseRoute
from turnwire.gateway.sessions.requests import Requests, View
from turnwire.protocol.errors import InvalidMessage
from turnwire.protocol.messages import Event, Limits
from turnwire.protocol.paging import MAX_LIMIT
from turnwire.protocol.rights import Scope
from turnwire.store.event_log import EventLog

_SSE_HEADERS: Final[dict[str, str]] = {hdrs.CACHE_CONTROL: "no-store, no-cache"}


class _Asked(Struct, frozen=True):
    """The query of a request that reads. `after_seq` is None for the end of the stream."""

    after_seq: int | None
    live: str | None
    cursor: str | None

    @classmethod
    def of(cls, request: web.Request) -> _Asked:
        """Parse the query. Raises InvalidMessage."""
        query = Query(request)
        offset = query.text("offset")
        live = query.choice("live", ("long-poll", "sse"), None)
        cursor = query.text("cursor", least=0)
        if live is not None and not query.has("offset"):
            query.refuse(f"live={live} needs an offset")
        after_seq = seq_of(offset or START)
        if after_seq is None and offset != NOW:
            query.refuse("offset must be the Stream-Next-Offset of an answer, -1 or now")
        query.check()
        return cls(after_seq, live, cursor)


class StreamReading:
    """Answers GET and HEAD requests."""

    def __init__(
        self, limits: Limits, requests: Requests, log: EventLog, sse: SseRoute, long_polling: LongPolling
    ) -> None:
        self._limits = limits
        self._requests = requests
        self._log = log
        self._sse = sse
        self._long_polling = long_polling

    async def head(self, request: web.Request) -> web.Response:
        view = await self._requests.view(self._readable(request))
        return web.Response(headers=_headers(view, view.session.last_seq, up_to_date=False))

    async def read(self, request: web.Request) -> web.StreamResponse:
        session_id = self._readable(request)
        asked = _Asked.of(request)
        if asked.live == "sse":
            follower = partial(StreamFollower, cursor=asked.cursor)
            return await self._sse.follow(request, session_id, asked.after_seq, follower, _SSE_HEADERS)
        if asked.live == "long-poll":
            view, after_seq = await self._long_polling.news(request, session_id, asked.after_seq)
            return await self._news(view, after_seq, asked.cursor)
        return await self._catch_up(request, await self._requests.view(session_id), asked.after_seq)

    def _readable(self, request: web.Request) -> str:
        session_id = stream_of(request, self._limits)
        principal_of(request).require(Scope.READ, session_id)
        return session_id

    async def _catch_up(self, request: web.Request, view: View, after_seq: int | None) -> web.Response:
        after_seq = view.session.last_seq if after_seq is None else after_seq
        events = await self._read(view, after_seq)
        end = events[-1].seq if events else after_seq
        headers = _headers(view, end)
        headers[hdrs.ETAG] = tag = f'"{view.life}:{after_seq}:{end}{":c" if CLOSED in headers else ""}"'
        if tag.strip('"') in (each.value for each in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=items_of(events), headers=headers)

    async def _news(self, view: View, after_seq: int, cursor: str | None) -> web.Response:
        events = await self._read(view, after_seq)
        headers = _headers(view, events[-1].seq if events else after_seq)
        headers[CURSOR] = next_cursor(cursor)
        if not events:
            return web.Response(status=204, headers=headers)
        return web.Response(body=items_of(events), headers=headers)

    async def _read(self, view: View, after_seq: int) -> list[Event]:
        session = view.session
        if after_seq > session.last_seq:
            raise InvalidMessage(f"the offset is beyond the end of the stream, {offset_of(session.last_seq)}")
        if after_seq == session.last_seq:
            return []
        last = min(after_seq + MAX_LIMIT, session.last_seq)
        return await self._log.read(session.session_id, after_seq + 1, last, view.life)


def _headers(view: View, end: int, *, up_to_date: bool = True) -> dict[str, str]:
    """Return the headers of an answer that ends with the event numbered `end`."""
    headers = {hdrs.CONTENT_TYPE: JSON_TYPE, NEXT_OFFSET: offset_of(end)}
    if end == view.session.last_seq:
        if up_to_date:
            headers[UP_TO_DATE] = TRUE
        if not view.takes_events:
            headers[CLOSED] = TRUE
    return headers
