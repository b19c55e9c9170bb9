"""Finds what other gateways have done to sessions, because the search must know it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from turnwire.gateway.clock import utc_now
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionRecord

OVERLAP = timedelta(seconds=2)
"""How far each look overlaps the one before: gateways' clocks differ, and a write takes time."""


class OtherGateways:
    """Looks at the database for sessions that have begun, ended or been amended elsewhere."""

    def __init__(self, store: Store, settling: float) -> None:
        """`settling`: for how many seconds after a session's end its log and its stored fields still change."""
        self._store = store
        self._settling = timedelta(seconds=settling) + 2 * OVERLAP
        self._unsettled: dict[str, datetime] = {}
        """Sessions that have changed, in order of the change, and the time of the second look at each."""
        self.looked_at = utc_now()
        """The time of the last look. The next look finds later changes."""

    async def look(self, begun: Callable[[SessionRecord], Awaitable[None]]) -> list[str]:
        """Call `begun` with each session that has begun since the last look. Return the ids of the sessions to read
        again: those that have changed since then, and those that have settled. Raises StorageUnavailable."""
        now, since = utc_now(), self.looked_at - OVERLAP
        async for record in self._store.sessions.between(since, now + OVERLAP):
            await begun(record)
        changed = await self._store.sessions.changed_since(since)
        self.looked_at = now
        for session_id in changed:
            self._unsettled.setdefault(session_id, now + self._settling)
        settled = [session_id for session_id, due in self._unsettled.items() if due <= now]
        for session_id in settled:
            del self._unsettled[session_id]
        return [*changed, *settled]

    async def amended_since(self, moment: datetime) -> list[str]:
        """Return the ids of the sessions that were amended after a look at this moment. Raises StorageUnavailable."""
        return await self._store.sessions.changed_since(moment - OVERLAP, ["amendedAt"])
