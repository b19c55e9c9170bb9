"""Pages of sessions, read from the session documents."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from turnwire.store.condition import DatabaseCondition
from turnwire.store.listing.indexes import SessionIndexes
from turnwire.store.listing.query import SessionQuery
from turnwire.store.session_record import Document, SessionRecord, StoredSession, StoredSessions

_READ = "read sessions"
_FIRST_SPAN = timedelta(seconds=2)
_SPAN_GROWTH = 8
_AT_ONCE = 500
_BATCH = 8
"""Documents that the embedded database encodes at once, while others wait. With large metadata each may take 2 ms."""
_FIRST_AT_ONCE, _MOST_AT_ONCE = 8, 50
_SLICE_BYTES = 64 * 1024
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LONGEST_SPAN = timedelta(days=365 * 100)


class SessionPages:
    """Reads of pages, in either order. Methods raise StorageUnavailable."""

    def __init__(self, sessions: Any, condition: DatabaseCondition, indexes: SessionIndexes) -> None:
        self._sessions = StoredSessions(sessions)
        self._indexes = indexes
        self._condition = condition
        self._at_once = _FIRST_AT_ONCE
        """How many sessions are read by their ids at a time, by the size of the last ones."""

    async def page(self, query: SessionQuery) -> list[StoredSession]:
        """Return one page of the sessions that meet those conditions that an index serves; the others remain to be
        looked at. The cost depends on the page's size, not on the number of sessions.

        Reads windows of startedAt backwards, each wider than the last, until the page is full: the embedded database
        reads every match of a query before it applies a limit.
        """
        condition = self._indexes.condition(query)
        if query.ascending:
            return await self._page_upwards(condition, query)
        found: list[StoredSession] = []
        upper = query.started_before
        if query.before is not None:
            same_moment, before_id = query.before
            if query.spans(same_moment):
                ties = await self._window({**condition, "startedAt": same_moment}, limit=0)
                found = [record for record in ties if record.session_id < before_id]
            upper = same_moment if upper is None else min(upper, same_moment)
        return await self._fill(found, condition, query, upper)

    async def between(self, after: datetime, before: datetime) -> AsyncIterator[SessionRecord]:
        """Iterate over the sessions that started between these two times, both exclusive, in no order."""
        cursor = self._sessions.find({"startedAt": {"$gt": after, "$lt": before}})
        while documents := await self._condition.ask(_READ, cursor.to_list(length=_AT_ONCE)):
            for document in documents:
                yield self._sessions.of(document).record()

    async def _page_upwards(self, condition: Document, query: SessionQuery) -> list[StoredSession]:
        """Return one page, oldest first. MongoDB stops at the limit; the embedded database reads all matches."""
        found: list[StoredSession] = []
        lower = query.started_after
        if query.before is not None:
            moment, last_id = query.before
            if query.spans(moment):
                ties = await self._window({**condition, "startedAt": moment}, limit=0, order=1)
                found = [record for record in ties if record.session_id > last_id]
            lower = moment if lower is None else max(lower, moment)
        bounds = {"$gt": lower, "$lt": query.started_before}
        given = {name: bound for name, bound in bounds.items() if bound is not None}
        if len(found) < query.limit:
            window = {**condition, "startedAt": given or {"$gt": _EARLIEST}}  # what is being erased has none
            found += await self._window(window, query.limit - len(found), order=1)
        return found[: query.limit]

    async def _fill(
        self, found: list[StoredSession], condition: Document, query: SessionQuery, upper: datetime | None
    ) -> list[StoredSession]:
        span = _FIRST_SPAN
        edge = upper or datetime.now(UTC)
        while len(found) < query.limit:
            lower = _before(edge, span)
            last_window = lower is None
            if query.started_after is not None and (lower is None or lower <= query.started_after):
                lower, last_window = query.started_after, True
            bounds: Document = {} if upper is None else {"$lt": upper}
            if lower is not None:
                bounds["$gt" if lower == query.started_after else "$gte"] = lower
            window = {**condition, "startedAt": bounds} if bounds else condition
            found += await self._window(window, query.limit - len(found))
            if last_window:
                break
            edge = upper = lower or edge
            span *= _SPAN_GROWTH
        return found[: query.limit]

    async def _window(self, condition: Document, limit: int, order: int = -1) -> list[StoredSession]:
        """Find sessions, newest first, or oldest first with an `order` of 1. A limit of 0 means none."""
        cursor = self._sessions.find(condition).sort([("startedAt", order), ("_id", order)])
        cursor = cursor.limit(limit).batch_size(_BATCH)
        return [self._sessions.of(each) for each in await self._condition.ask(_READ, cursor.to_list(length=None))]

    async def load(self, session_ids: Sequence[str]) -> list[StoredSession]:
        """Return the sessions of these ids, in this order, skipping unknown ids.

        Reads few large ones at a time, and then leaves the database to others for as long: the embedded one serves
        nobody else while it decodes them.
        """
        found: dict[str, StoredSession] = {}
        at = 0
        while at < len(session_ids):
            part = session_ids[at : at + self._at_once]
            at += len(part)
            began = time.monotonic()
            cursor = self._sessions.find({"_id": {"$in": list(part)}})
            read = self._sessions.by_id(await self._condition.ask(_READ, cursor.to_list(length=None)))
            found |= read
            size = sum(each.size for each in read.values())
            self._at_once = max(1, min(_MOST_AT_ONCE, len(part) * _SLICE_BYTES // max(size, 1)))
            if at < len(session_ids) and size > _SLICE_BYTES // 2:
                await asyncio.sleep(time.monotonic() - began)
        return [found[session_id] for session_id in session_ids if session_id in found]


def _before(edge: datetime, span: timedelta) -> datetime | None:
    """Return the start of a window that ends at `edge`, or None for a window without one."""
    try:
        return None if span >= _LONGEST_SPAN else edge - span
    except OverflowError:
        return None
