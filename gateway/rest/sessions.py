"""REST routes of sessions: create, list, read with a page of events, end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import msgspec
import uuid_utils
from aiohttp import hdrs, web
from multidict import CIMultiDict

from turnwire.gateway.http.query import (
    MAX_LIMIT,
    Query,
    decode_body,
    encode_cursor,
    language_fault,
    read_body,
    session_id_of,
)
from turnwire.gateway.keys import HUB
from turnwire.protocol.bodies import (
    CompleteSession,
    CreateSession,
    HistoryEvent,
    OffsetPagination,
    PagePagination,
    SessionHistory,
    SessionList,
)
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import InvalidMessage
from turnwire.protocol.messages import Event, SessionStatus, Shape
from turnwire.protocol.rules import check_end_reason, check_id, check_metadata
from turnwire.protocol.times import parse_time
from turnwire.store.sessions import SessionQuery

if TYPE_CHECKING:
    from turnwire.gateway.sessions.live_sessions import Hub, View

REPLAYED = {"Idempotent-Replayed": "true"}
"""Header of an answer to a request that had been carried out before."""
_JSON = CIMultiDict({hdrs.CONTENT_TYPE: "application/json; charset=utf-8"})
_JSON_REPLAYED = CIMultiDict({**_JSON, **REPLAYED})
DEFAULT_LIST_LIMIT = 20
DEFAULT_PAGE_LIMIT = 20
DEFAULT_OFFSET_LIMIT = 50


def json_answer(shape: Shape, *, status: int = 200, replayed: bool = False) -> web.Response:
    headers = (_JSON_REPLAYED if replayed else _JSON).copy()
    return web.Response(status=status, body=JSON.encode(shape), headers=headers)


async def create_session(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    limits = hub.limits
    body = await decode_body(request, CreateSession, limits)
    session_id = str(uuid_utils.uuid7()) if body.session_id is None else body.session_id
    check_id(session_id, "sessionId", limits)
    fault = language_fault(body.language)
    if fault is not None:
        raise InvalidMessage(fault)
    check_metadata(body.metadata, limits)
    session, created = await hub.create(
        session_id=session_id, language=body.language, metadata=body.metadata, status=body.status
    )
    return json_answer(session, replayed=not created)


async def complete_session(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    limits = hub.limits
    session_id = session_id_of(request, limits)
    raw = await read_body(request)
    body = JSON.decode_body(raw, CompleteSession, limits) if raw else CompleteSession()
    check_end_reason(body.reason, limits)
    session, ended_now = await hub.complete(session_id, body.status, body.reason)
    return json_answer(session, replayed=not ended_now)


async def list_sessions(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    query = Query(request)
    status = query.choice("status", get_args(SessionStatus), None)
    limit = query.integer("limit", DEFAULT_LIST_LIMIT, low=1, high=MAX_LIMIT)
    wanted = SessionQuery(
        limit=limit + 1,  # one more tells whether there is a next page
        status=() if status is None else (msgspec.convert(status, SessionStatus),),
        language=query.language(),
        started_after=query.moment("startedAfter"),
        started_before=query.moment("startedBefore", up=True),
        before=query.cursor(hub.limits),
    )
    query.check()
    found = await hub.list_sessions(wanted)
    page = found[:limit]
    cursor = None
    if len(found) > limit:
        cursor = encode_cursor(parse_time(page[-1].started_at), page[-1].session_id)
    return json_answer(SessionList(sessions=page, next_cursor=cursor))


# --- one session with a page of its events ---------------------------------------------------------------------------


async def read_session(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    session_id = session_id_of(request, hub.limits)
    query = Query(request)
    by_offset = query.has("offset")
    if by_offset and query.has("page"):
        query.refuse("page and offset are two styles of paging; give one of them")
    limit = query.integer("limit", DEFAULT_OFFSET_LIMIT if by_offset else DEFAULT_PAGE_LIMIT, low=1, high=MAX_LIMIT)
    page = query.integer("page", 1, low=1)
    offset = query.integer("offset", 0, low=0) if by_offset else (page - 1) * limit
    order = query.choice("order", ("asc", "desc"), "asc")
    query.check()

    view = await hub.view(session_id)
    total = view.session.last_seq
    events = await _read_page(hub, view, offset, limit, descending=order == "desc")
    pagination: PagePagination | OffsetPagination
    if by_offset:
        pagination = OffsetPagination(total=total, limit=limit, offset=offset, has_more=offset + limit < total)
    else:
        pagination = PagePagination(total=total, page=page, limit=limit, total_pages=math.ceil(total / limit))
    session = msgspec.structs.asdict(view.session)
    page_events = [_without_session(event) for event in events]
    return json_answer(SessionHistory(**session, events=page_events, pagination=pagination))


async def _read_page(hub: Hub, view: View, offset: int, limit: int, *, descending: bool) -> list[Event]:
    """The events at these places of the order by timestamp, then seq. Their positions are known before reading."""
    total = view.session.last_seq
    seqs: Sequence[int] = range(1, total + 1)
    if offset >= total:
        return []
    if not view.time_ordered:
        seqs = await hub.store.events.order_by_time(view.session.session_id, total)
    wanted = seqs[::-1][offset : offset + limit] if descending else seqs[offset : offset + limit]
    found = await hub.store.events.read_at(view.session.session_id, wanted)
    by_seq = {event.seq: event for event in found}
    return [by_seq[seq] for seq in wanted if seq in by_seq]


def _without_session(event: Event) -> HistoryEvent:
    return HistoryEvent(event.event_id, event.type, event.payload, event.timestamp, event.seq)
