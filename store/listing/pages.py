"""Pages of sessions, read from the session documents."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from turnwire.protocol.messages import SessionStatus
from turnwire.store.condition import DatabaseCondition
from turnwire.store.listing.beginnings import beginnings
from turnwire.store.listing.indexes import SessionIndexes
from turnwire.store.listing.query import SessionQuery
from turnwire.store.listing.windows import EARLIEST, READ, Windows
from turnwire.store.session_record import Document, SessionRecord, StoredSession, StoredSessions

_AT_ONCE = 500
_FIRST_AT_ONCE, _MOST_AT_ONCE = 8, 50
_SLICE_BYTES = 64 * 1024
_COURSE: Final[tuple[SessionStatus, ...]] = ("initiated", "active", "completed", "failed")
"""In this order, a session whose status changes during the walk is found at least once."""


class SessionPages:
    """Reads of pages, in either order. Methods raise StorageUnavailable."""

    def __init__(self, sessions: Any, condition: DatabaseCondition, indexes: SessionIndexes) -> None:
        self._sessions = StoredSessions(sessions)
        self._windows = Windows(self._sessions, condition)
        self._indexes = indexes
        self._condition = condition
        self._at_once = _FIRST_AT_ONCE
        """How many sessions are read by their ids at a time, given the weight of the last ones."""

    async def page(self, query: SessionQuery) -> list[StoredSession]:
        """Return one page of the sessions that meet those conditions that an index serves; the others remain to be
        looked at. The cost depends on the page's size, not on the number of sessions.
        """
        if len(query.status) < 2 or self._indexes.many:
            return await self._walk(query)
        found: dict[str, StoredSession] = {}
        for status in sorted(set(query.status), key=_COURSE.index):
            walked = await self._walk(replace(query, status=(status,)))
            found |= {each.session_id: each for each in walked}
        ordered = sorted(found.values(), key=_place, reverse=not query.ascending)
        return ordered[: query.limit]

    async def _walk(self, query: SessionQuery) -> list[StoredSession]:
        """Return a page. The embedded database reads every session for a condition on several statuses."""
        condition = self._indexes.condition(query)
        found = await self._ties(condition, query)
        left = query.limit - len(found)
        if left > 0:
            found += await (self._upwards if query.ascending else self._downwards)(condition, query, left)
        return found[: query.limit]

    async def between(self, after: datetime, before: datetime) -> AsyncIterator[SessionRecord]:
        """Iterate over the sessions that started between these two times, both exclusive, in any order."""
        cursor = self._sessions.find({"startedAt": {"$gt": after, "$lt": before}})
        while documents := await self._condition.ask(READ, cursor.to_list(length=_AT_ONCE)):
            for document in documents:
                yield self._sessions.of(document).record()

    async def _ties(self, condition: Document, query: SessionQuery) -> list[StoredSession]:
        """Return the sessions after the cursor that started in the same millisecond as the cursor's session."""
        if query.before is None or not query.spans(query.before[0]):
            return []
        moment, last_id = query.before
        order = 1 if query.ascending else -1
        ties = await self._windows.read({**condition, "startedAt": moment}, limit=0, order=order)
        return [each for each in ties if (each.session_id > last_id if query.ascending else each.session_id < last_id)]

    async def _downwards(self, condition: Document, query: SessionQuery, limit: int) -> list[StoredSession]:
        upper = query.started_before
        if query.before is not None:
            upper = query.before[0] if upper is None else min(upper, query.before[0])
        return await self._windows.newest(condition, limit, query.started_after, upper)

    async def _upwards(self, condition: Document, query: SessionQuery, limit: int) -> list[StoredSession]:
        """Return a page, oldest first. MongoDB reads its index from the beginning, and stops at the limit."""
        after, before = query.started_after, query.started_before
        if query.before is not None:
            after = query.before[0] if after is None else max(after, query.before[0])
            return await self._windows.oldest(condition, limit, after, before, inclusive=False)
        begin = [] if self._indexes.many else await beginnings(self._windows, condition, after, before)
        if not begin:
            bounds: Document = {"$gt": after or EARLIEST}  # a session that is being erased has no start
            window = bounds if before is None else bounds | {"$lt": before}
            return await self._windows.read({**condition, "startedAt": window}, limit, order=1)
        found: list[StoredSession] = []
        for first, end in zip(begin, [*begin[1:], before], strict=True):
            if len(found) < limit:
                found += await self._windows.oldest(condition, limit - len(found), first, end, inclusive=True)
        return found

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
            read = self._sessions.by_id(await self._condition.ask(READ, cursor.to_list(length=None)))
            found |= read
            weight = sum(each.weight for each in read.values())
            self._at_once = max(1, min(_MOST_AT_ONCE, len(part) * _SLICE_BYTES // max(weight, 1)))
            if at < len(session_ids) and weight > _SLICE_BYTES // 2:
                await asyncio.sleep(time.monotonic() - began)
        return [found[session_id] for session_id in session_ids if session_id in found]


def _place(session: StoredSession) -> tuple[datetime, str]:
    return session.started_at, session.session_id
