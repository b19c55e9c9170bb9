"""REST routes over many sessions: `GET /sessions`, `GET /stats`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
from aiohttp import web
from msgspec import UNSET

from turnwire.gateway.access.guard import client_of, principal_of
from turnwire.gateway.access.refusals import forbidden
from turnwire.gateway.clock import utc_now
from turnwire.gateway.finding.listing import Listed, Listing
from turnwire.gateway.finding.summing import Summing
from turnwire.gateway.http.answers import json_answer
from turnwire.gateway.http.query import METADATA, Query, encode_cursor
from turnwire.protocol.bodies import SessionList, SessionSums
from turnwire.protocol.messages import Limits, SessionStatus
from turnwire.protocol.paging import (
    DEFAULT_LIST_LIMIT,
    MAX_COUNT,
    MAX_DAYS,
    MAX_HOURS,
    MAX_LIMIT,
    MAX_METADATA_PAIRS,
    MAX_WORDS,
)
from turnwire.protocol.rights import Scope
from turnwire.protocol.times import format_time, parse_time
from turnwire.store.search.sums import Grouping, SumsQuery
from turnwire.store.session_filter import SearchFilter, words_of
from turnwire.store.sessions import SessionQuery

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_DEFAULT_DAYS = 30
_GROUPINGS = ("day", "hour", "language", "endReason")


class ListingRoutes:
    """`/sessions`, `/stats`."""

    def __init__(self, limits: Limits, listing: Listing, summing: Summing) -> None:
        self._limits = limits
        self._listing = listing
        self._summing = summing

    async def list_sessions(self, request: web.Request) -> web.Response:
        principal = principal_of(request)
        principal.require(Scope.LIST)
        query = Query(request)
        status = query.choice("status", get_args(SessionStatus), None)
        limit = query.integer("limit", DEFAULT_LIST_LIMIT, low=1, high=MAX_LIMIT)
        wanted = SessionQuery(
            limit=limit + 1,  # one more tells whether there is a next page
            status=() if status is None else (msgspec.convert(status, SessionStatus),),
            language=query.language(),
            started_after=query.moment("startedAfter"),
            started_before=query.moment("startedBefore", up=True),
            before=query.cursor(self._limits),
            patterns=principal.patterns,
            ascending=query.choice("order", ("asc", "desc"), "desc") == "asc",
            more=_filter(query),
        )
        count_up_to = query.optional_integer("countUpTo", low=1, high=MAX_COUNT)
        query.check()
        async with self._listing.turn(client_of(request), limit):
            return json_answer(_answer(await self._listing.find(wanted, count_up_to), limit))

    async def read_sums(self, request: web.Request) -> web.Response:
        principal = principal_of(request)
        principal.require(Scope.LIST)
        if not principal.covers_all:
            raise forbidden("sessions", 'sums cover all sessions, so they need a credential for sessions ["*"]')
        query = Query(request)
        before = query.moment("startedBefore", up=True) or utc_now()
        after = query.moment("startedAfter")
        if after is None:
            after = max(before, _EARLIEST + timedelta(days=_DEFAULT_DAYS)) - timedelta(days=_DEFAULT_DAYS)
        group_by, key = _grouping(query)
        span = before - after
        if span > timedelta(days=MAX_DAYS):
            query.refuse(f"startedAfter and startedBefore must be at most {MAX_DAYS} days apart")
        if group_by == "hour" and span > timedelta(hours=MAX_HOURS):
            query.refuse(f"for hours startedAfter and startedBefore must be at most {MAX_HOURS} hours apart")
        query.check()
        wanted = SumsQuery(started_after=after, started_before=before, group_by=group_by, key=key)
        sums = await self._summing.sums(wanted)
        return json_answer(SessionSums(sums.groups, sums.total, sums.left_off))


def _filter(query: Query) -> SearchFilter:
    text = query.text("q", most=MAX_WORDS * 40)
    words = [] if text is None else list(dict.fromkeys(words_of(text)))
    if text is not None and not 1 <= len(words) <= MAX_WORDS:
        query.refuse(f"q must have 1 to {MAX_WORDS} words, has {len(words)}")
    errors = query.choice("hasErrors", ("true", "false"), None)
    pairs = query.pairs(METADATA)
    if len(pairs) > MAX_METADATA_PAIRS:
        query.refuse(f"at most {MAX_METADATA_PAIRS} parameters metadata.<key> may be given, there are {len(pairs)}")
    return SearchFilter(
        end_reason=query.text("endReason", least=0),
        id_prefix=query.text("idPrefix"),
        metadata=tuple(pairs),
        min_duration_ms=query.optional_integer("minDurationMs"),
        max_duration_ms=query.optional_integer("maxDurationMs"),
        has_errors=None if errors is None else errors == "true",
        tools_failed=query.optional_integer("toolsFailed"),
        min_response_p95_ms=query.optional_integer("minResponseP95Ms"),
        min_interruptions=query.optional_integer("minInterruptions"),
        words=tuple(words),
    )


def _grouping(query: Query) -> tuple[Grouping, str]:
    given = query.text("groupBy") or "day"
    if given.startswith(METADATA) and len(given) > len(METADATA):
        return "metadata", given.removeprefix(METADATA)
    if given not in _GROUPINGS:
        query.refuse(f"groupBy must be one of {', '.join(_GROUPINGS)}, metadata.<key>")
        return "day", ""
    return msgspec.convert(given, Grouping), ""


def _answer(listed: Listed, limit: int) -> SessionList:
    page = listed.sessions[:limit]
    encoded: list[Any] = [each.encoded for each in page]
    answer = SessionList(sessions=encoded, next_cursor=None)
    if len(listed.sessions) > limit:
        answer.next_cursor = encode_cursor(parse_time(page[-1].started_at), page[-1].session_id)
    elif listed.stopped_at is not None:
        answer.next_cursor = encode_cursor(*listed.stopped_at)
        answer.searched_back_to = format_time(listed.stopped_at[0])
    answer.count = UNSET if listed.count is None else listed.count
    answer.searched = UNSET if listed.searched is None else listed.searched
    return answer
