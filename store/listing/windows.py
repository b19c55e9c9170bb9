"""Windows of time in which sessions are read. Each is wider than the last, until there are enough sessions.

The embedded database reads every match of a query before it applies a limit. On MongoDB, windows cost a few more index
reads.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from turnwire.store.condition import DatabaseCondition
from turnwire.store.session_record import Document, StoredSession, StoredSessions

READ: Final = "read sessions"
_FIRST_SPAN = timedelta(seconds=2)
_SPAN_GROWTH = 8
_BATCH = 8
"""Documents that the embedded database encodes at once, while others wait. With large metadata each may take 2 ms."""
_AT_ONCE = 100
"""Documents that are looked at in one pass of the event loop: mostly 2 ms."""
_LONGEST_SPAN = timedelta(days=365 * 100)
EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


class Windows:
    """Reads of sessions by their start. Methods raise StorageUnavailable.

    `condition` holds the other conditions. Times are exclusive unless a method says otherwise.
    """

    def __init__(self, sessions: StoredSessions, condition: DatabaseCondition) -> None:
        self._sessions = sessions
        self._condition = condition

    async def read(self, condition: Document, limit: int, order: int = -1) -> list[StoredSession]:
        """Find sessions, newest first, or oldest first with an `order` of 1. A limit of 0 means none."""
        cursor: Any = self._sessions.find(condition).sort([("startedAt", order), ("_id", order)])
        cursor = cursor.limit(limit).batch_size(_BATCH)
        documents = await self._condition.ask(READ, cursor.to_list(length=None))
        found = [self._sessions.of(each) for each in documents[:_AT_ONCE]]
        for start in range(_AT_ONCE, len(documents), _AT_ONCE):
            await asyncio.sleep(0)  # thousands may have started in the same millisecond, as imported ones often have
            found += [self._sessions.of(each) for each in documents[start : start + _AT_ONCE]]
        return found

    async def newest(
        self, condition: Document, limit: int, after: datetime | None, before: datetime | None
    ) -> list[StoredSession]:
        """Return the newest sessions between these two times, newest first."""
        found: list[StoredSession] = []
        span = _FIRST_SPAN
        edge = before or datetime.now(UTC)
        while len(found) < limit:
            lower = _before(edge, span)
            is_last = lower is None
            if after is not None and (lower is None or lower <= after):
                lower, is_last = after, True
            bounds: Document = {} if before is None else {"$lt": before}
            if lower is not None:
                bounds["$gt" if lower == after else "$gte"] = lower
            window = {**condition, "startedAt": bounds} if bounds else condition
            found += await self.read(window, limit - len(found))
            if is_last:
                break
            edge = before = lower or edge
            span *= _SPAN_GROWTH
        return found[:limit]

    async def oldest(
        self, condition: Document, limit: int, edge: datetime, before: datetime | None, *, inclusive: bool
    ) -> list[StoredSession]:
        """Return the oldest sessions after `edge`, or from `edge` on if `inclusive`, oldest first."""
        found: list[StoredSession] = []
        span = _FIRST_SPAN
        last = before or datetime.now(UTC)
        sign = "$gte" if inclusive else "$gt"
        while len(found) < limit:
            upper = _after(edge, span)
            is_last = upper is None or upper >= last
            bounds: Document = {sign: edge} | ({"$lt": before} if is_last and before is not None else {})
            if not is_last:
                bounds["$lt"] = upper
            found += await self.read({**condition, "startedAt": bounds}, limit - len(found), order=1)
            if is_last:
                break
            edge, sign = upper or edge, "$gte"
            span *= _SPAN_GROWTH
        return found


def _before(edge: datetime, span: timedelta) -> datetime | None:
    """Return the start of a window that ends at `edge`, or None for a window without one."""
    try:
        return None if span >= _LONGEST_SPAN else edge - span
    except OverflowError:
        return None


def _after(edge: datetime, span: timedelta) -> datetime | None:
    """Return the end of a window that starts at `edge`, or None for a window without one."""
    try:
        return None if span >= _LONGEST_SPAN else edge + span
    except OverflowError:
        return None
