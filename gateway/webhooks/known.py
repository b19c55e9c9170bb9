"""The sessions that an endpoint is to be told about, how far each has been told, and how much of that is written."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from turnwire.gateway.webhooks.discovery import FIRST_SPAN, discover
from turnwire.protocol.messages import Session
from turnwire.protocol.times import parse_time
from turnwire.store.telling.endpoints import Endpoint
from turnwire.store.telling.progress import Begun, ProgressStore, Told

TRAIL: Final = timedelta(seconds=120)
"""How far the written mark stays behind the present: gateways' clocks differ, and a creation takes time."""
_LATE: Final = timedelta(seconds=60)
"""How long an ended session is kept after its grace time."""
_KEPT_SHARE: Final = 10
"""This part of all sessions in memory may be sessions told to their end that are kept because the mark waits for
sessions of which nothing has been told."""
_A_SLICE: Final = 200
"""The number of sessions of a search that are taken in between two pauses: about a millisecond."""


class Known:
    """Sessions that have not been told to their end, and sessions that have just begun.

    The **mark** is a time: every session that began before it either has been told to its end, or has a document of its
    progress. So after a crash, all that is still to be told follows from the mark, the documents, and the sessions in
    the store. Nothing has to be written before an event is acked.

    Nothing is written about a session of which nothing has been told: the mark waits for it instead. So new sessions
    cost an endpoint that does not answer no writes, however many there are.
    """

    def __init__(self, endpoint: Endpoint, store: ProgressStore, *, most: int, end_grace: float) -> None:
        self.told: dict[str, Told] = {}
        self.seen_until = endpoint.seen_until
        """All sessions that began before this time are known, or have been told to their end."""
        self.behind = True
        """Whether there may be sessions after `seen_until` that are not known yet."""
        self.searching: timedelta | None = None
        """The length of the next window, if the search for those sessions stopped only because of its time limit."""
        self._floor = endpoint.floor
        self._mark = endpoint.seen_until
        self._store = store
        self._most = most
        self._late = timedelta(seconds=end_grace) + _LATE
        self._dirty: dict[str, None] = {}
        self._gone: dict[str, None] = {}
        self._untold: dict[str, None] = {}
        """Sessions that the mark waits for."""
        self._starts: list[tuple[datetime, str]] = []
        """When they began, as a heap. It may hold outdated entries."""

    def changed(self, told: Told) -> None:
        """Schedule the session's progress to be written."""
        self._untold.pop(told.session_id, None)
        self._dirty[told.session_id] = None

    def over(self, told: Told) -> None:
        """Record that the session has been told to its end, so that the mark need not wait for it."""
        self._untold.pop(told.session_id, None)

    def forget(self, session_id: str) -> None:
        """Forget the session, because it was erased or told to its end."""
        told = self.told.pop(session_id, None)
        self._dirty.pop(session_id, None)
        self._untold.pop(session_id, None)
        if told is not None and told.stored:
            self._gone[session_id] = None

    def mark(self, now: datetime) -> datetime:
        """Return the mark. It never goes back."""
        edge = self._edge(now)
        while self._starts and self._starts[0][1] not in self._untold:
            heapq.heappop(self._starts)
        self._mark = max(self._mark, min(edge, self._starts[0][0]) if self._starts else edge)
        return self._mark

    def _edge(self, now: datetime) -> datetime:
        """Return the time before which no session can begin any more that is not known."""
        return min(self.seen_until, now - TRAIL)

    # --- which sessions ----------------------------------------------------------------------------------------------

    def meet(self, session: Session, now: datetime) -> bool:
        """Take in a session that the feed reports. Return False if there is nothing to tell about it now."""
        ended_at = None if session.ended_at is None else parse_time(session.ended_at)
        if ended_at is not None and ended_at + self._late < now:
            return False  # it was told to its end long ago
        started_at = parse_time(session.started_at)
        if len(self.told) >= self._most and started_at >= self.mark(now):
            self.seen_until, self.behind = min(self.seen_until, started_at), True
            return False
        self._begin(session.session_id, None, started_at)
        return True

    def _begin(self, session_id: str, life: int | None, started_at: datetime) -> None:
        self.told[session_id] = told = Told(session_id=session_id, life=life, started_at=started_at)
        if started_at < self._mark:
            self.changed(told)
        else:
            self._untold[session_id] = None
            heapq.heappush(self._starts, (started_at, session_id))

    async def look(self, now: datetime, *, wants_events: bool) -> list[str]:
        """Find sessions in the store. Return the ids of those with news. Raises StorageUnavailable.

        Takes in all sessions that have not ended, however many they are.
        """
        new: list[str] = []
        unended = await self._store.unended()
        open_ones = {begun.session_id for begun in unended}
        for number, begun in enumerate(unended):
            if number % _A_SLICE == _A_SLICE - 1:
                await asyncio.sleep(0)
            if self._is_new(begun, wants_events=wants_events):
                new.append(begun.session_id)
        new += [
            told.session_id for told in self.told.values() if not told.ended_at and told.session_id not in open_ones
        ]

        def take(begun: Begun) -> bool:
            if begun.session_id not in self.told and len(self.told) >= self._most:
                return False
            if self._is_new(begun, wants_events=wants_events):
                new.append(begun.session_id)
            return True

        span = self.searching or FIRST_SPAN
        since = max(self._mark, self._edge(now))
        self.seen_until, whole, self.searching = await discover(self._store, since, now, take, span)
        self.behind = not whole
        return new

    def _is_new(self, begun: Begun, *, wants_events: bool) -> bool:
        """Take in a session found in the store. Return whether there is something to tell about it."""
        told = self.told.get(begun.session_id)
        if told is not None:
            return (wants_events and begun.last_seq > told.seq) or bool(begun.ended_at and not told.ended_at)
        if begun.imported or (begun.ended_at is not None and begun.ended_at < self._floor):
            return False
        self._begin(begun.session_id, begun.life, begun.started_at)
        return True

    # --- what is written ---------------------------------------------------------------------------------------------

    async def write(self, key: str) -> None:
        """Write what has changed. Raises StorageUnavailable; what could not be written stays due."""
        dirty, self._dirty = self._dirty, {}
        gone, self._gone = self._gone, {}
        try:
            await self._store.save(key, [self.told[each] for each in dirty if each in self.told])
            await self._store.remove(key, [each for each in gone if each not in self.told])
        except BaseException:
            self._dirty, self._gone = dirty | self._dirty, gone | self._gone
            raise

    async def settle(self, key: str, mark: datetime, now: datetime, is_idle: Callable[[str], bool]) -> None:
        """Forget the sessions that have been told to their end. The `mark` must have been written before."""
        edge, done, kept = self._edge(now), list[str](), 0
        for session_id, told in self.told.items():
            if told.ended_at is not None and told.ended_at + self._late < now and is_idle(session_id):
                if told.started_at < mark:
                    done.append(session_id)
                else:
                    kept += told.started_at < edge
        if kept > self._most // _KEPT_SHARE:
            self._let_pass(edge)
        for session_id in done:
            self.forget(session_id)
        await self.write(key)

    def _let_pass(self, edge: datetime) -> None:
        """Have documents written of the sessions that the mark waits for, so that it need not wait for them."""
        for session_id in tuple(self._untold):
            if (told := self.told[session_id]).started_at < edge:
                self.changed(told)
