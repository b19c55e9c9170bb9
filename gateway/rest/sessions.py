"""REST routes for one session: create, change, end, erase, and read with a page of events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast, get_args

import msgspec
import uuid_utils
from aiohttp import web
from msgspec import UNSET

from turnwire.gateway.access.audit import Audit
from turnwire.gateway.access.enders import Enders
from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.clock import utc_now
from turnwire.gateway.http.answers import json_answer
from turnwire.gateway.http.body import BodyReader, not_empty
from turnwire.gateway.http.query import Query, session_id_of
from turnwire.gateway.rest.creating import Creating
from turnwire.gateway.sessions.erasing import Erasing
from turnwire.gateway.sessions.requests import Requests, View
from turnwire.gateway.sessions.time_orders import TimeOrders
from turnwire.gateway.turns import Slices, Turns
from turnwire.protocol.bodies import (
    AmendSession,
    CompleteSession,
    CreateSession,
    HistoryEvent,
    OffsetPagination,
    PagePagination,
    SessionHistory,
)
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import InvalidMessage, NoSuchSession
from turnwire.protocol.messages import Event, InitialStatus, Limits
from turnwire.protocol.paging import (
    DEFAULT_OFFSET_LIMIT,
    DEFAULT_PAGE_LIMIT,
    MAX_LIMIT,
    language_fault,
)
from turnwire.protocol.past_calls.times import past_time
from turnwire.protocol.rights import Scope
from turnwire.protocol.rules import check_end_reason, check_new_session_id, checked_metadata
from turnwire.protocol.values import object_fault
from turnwire.store.event_log import EventLog


class SessionRoutes:
    """`/sessions`, `/sessions/{id}`, `/sessions/{id}/complete`."""

    def __init__(
        self,
        limits: Limits,
        bodies: BodyReader,
        requests: Requests,
        log: EventLog,
        erasing: Erasing,
        *,
        creating: Creating,
        enders: Enders,
        audit: Audit,
        turns: Turns,
    ) -> None:
        self._limits = limits
        self._bodies = bodies
        self._requests = requests
        self._log = log
        self._creating = creating
        self._orders = TimeOrders(log)
        self._enders = enders
        self._erasing = erasing
        self._audit = audit
        self._turns = turns

    async def create_session(self, request: web.Request) -> web.Response:
        principal = principal_of(request)
        principal.require(Scope.CREATE)
        raw = not_empty(await self._bodies.read(request))
        slices = Slices(self._turns)  # large metadata takes some milliseconds
        body = JSON.decode_body(raw, CreateSession, self._limits)
        await slices.pause()
        principal.require_new_session(body.session_id)
        session_id = str(uuid_utils.uuid7()) if body.session_id is None else body.session_id
        check_new_session_id(session_id, self._limits)
        fault = language_fault(body.language)
        if fault is not None:
            raise InvalidMessage(fault)
        metadata = checked_metadata(body.metadata, self._limits)
        await slices.pause()
        started_at = None if body.started_at is None else past_time(body.started_at, "startedAt", utc_now())
        if body.status not in get_args(InitialStatus):
            return await self._existing(session_id)
        session, created = await self._creating.create(
            principal,
            session_id,
            body.language,
            metadata,
            status=cast("InitialStatus", body.status),
            started_at=started_at,
        )
        return json_answer(session, replayed=not created)

    async def _existing(self, session_id: str) -> web.Response:
        """Answer a creation with the status of an ended session. Only an existing session can have it."""
        try:
            view = await self._requests.view(session_id)
        except NoSuchSession:
            raise InvalidMessage(
                "status must be initiated or active: a new session cannot begin with its end"
            ) from None
        return json_answer(view.session, replayed=True)

    async def amend_session(self, request: web.Request) -> web.Response:
        session_id = session_id_of(request, self._limits)
        principal_of(request).require(Scope.CREATE, session_id)
        body = await self._bodies.decode(request, AmendSession)
        metadata = None if body.metadata is UNSET else body.metadata
        language = None if body.language is UNSET else body.language
        fault = None if language is None else language_fault(language)
        if fault is None and metadata is not None:
            fault = object_fault(metadata, self._limits.depth)
            fault = None if fault is None else f"metadata{fault}"
        if fault is not None:
            raise InvalidMessage(fault)
        return json_answer(await self._requests.amend(session_id, metadata, language))

    async def complete_session(self, request: web.Request) -> web.Response:
        session_id = session_id_of(request, self._limits)
        principal = principal_of(request)
        principal.require(Scope.COMPLETE, session_id)
        raw = await self._bodies.read(request)
        body = JSON.decode_body(raw, CompleteSession, self._limits) if raw else CompleteSession()
        check_end_reason(body.reason, self._limits)
        with self._enders.attributed(session_id, principal):
            session, ended_now = await self._requests.complete(session_id, body.status, body.reason)
        return json_answer(session, replayed=not ended_now)

    async def erase_session(self, request: web.Request) -> web.Response:
        session_id = session_id_of(request, self._limits)
        principal = principal_of(request)
        principal.require(Scope.DELETE, session_id)
        query = Query(request)
        force = query.choice("force", ("true", "false"), "false") == "true"
        query.check()
        if await self._erasing.erase(session_id, force=force):
            self._audit.session_erased(session_id, principal, forced=force)
        return web.Response(status=204)

    async def read_session(self, request: web.Request) -> web.Response:
        session_id = session_id_of(request, self._limits)
        principal_of(request).require(Scope.READ, session_id)
        query = Query(request)
        by_offset = query.has("offset")
        if by_offset and query.has("page"):
            query.refuse("page and offset are two styles of paging; give one of them")
        limit = query.integer("limit", DEFAULT_OFFSET_LIMIT if by_offset else DEFAULT_PAGE_LIMIT, low=1, high=MAX_LIMIT)
        page = query.integer("page", 1, low=1)
        offset = query.integer("offset", 0, low=0) if by_offset else (page - 1) * limit
        order = query.choice("order", ("asc", "desc"), "asc")
        query.check()

        view = await self._requests.view(session_id)
        total = view.session.last_seq
        events = await self._read_page(view, offset, limit, descending=order == "desc")
        pagination: PagePagination | OffsetPagination
        if by_offset:
            pagination = OffsetPagination(total=total, limit=limit, offset=offset, has_more=offset + limit < total)
        else:
            pagination = PagePagination(total=total, page=page, limit=limit, total_pages=math.ceil(total / limit))
        session = msgspec.structs.asdict(view.session)
        page_events = [_without_session(event) for event in events]
        return json_answer(SessionHistory(**session, events=page_events, pagination=pagination))

    async def _read_page(self, view: View, offset: int, limit: int, *, descending: bool) -> list[Event]:
        """Return a page of the events ordered by timestamp, then seq. Only the events of the page are read."""
        total = view.session.last_seq
        seqs: Sequence[int] = range(1, total + 1)
        if offset >= total:
            return []
        if not view.time_ordered:
            seqs = await self._orders.seqs(view.session.session_id, total, view.life)
        first = max(0, total - offset - limit) if descending else offset
        page = seqs[first : total - offset if descending else offset + limit]
        wanted = list(reversed(page)) if descending else list(page)
        found = await self._log.read_at(view.session.session_id, wanted, view.life)
        by_seq = {event.seq: event for event in found}
        return [by_seq[seq] for seq in wanted if seq in by_seq]


def _without_session(event: Event) -> HistoryEvent:
    return HistoryEvent(event.event_id, event.type, event.payload, event.timestamp, event.seq)
