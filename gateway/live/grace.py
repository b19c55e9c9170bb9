"""How a session ends: once, by whoever is first, and with a time of grace in which it still takes events."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.inbox import End
from turnwire.protocol.errors import CloseCode, SessionNotFound
from turnwire.protocol.messages import FinalStatus
from turnwire.store.sessions import SessionRecord
from turnwire.store.waiting import persist

if TYPE_CHECKING:
    from turnwire.gateway.live.live_session import LiveSession


class SessionEnd:
    """The end of one live session, to come or past. Owned by that session's task; the timer is its own."""

    def __init__(self, live: LiveSession) -> None:
        self._live = live
        self._timer: asyncio.TimerHandle | None = None
        self.takes_events = True
        """Whether new events may be appended: it has not ended, or only just."""
        if live.ended:
            self._begin_grace()

    async def complete(self, item: End) -> None:
        live = self._live
        if live.is_fenced(item.publisher):
            return
        ended_now = False if live.ended else await self._end(item.status, item.reason)
        if item.publisher is not None:
            item.publisher.completed(live.session())
        elif live.publisher is None and not live.hub.is_alone:  # it may have been at another gateway
            await live.read_on()
        if item.done is not None and not item.done.done():
            item.done.set_result((live.session(), ended_now))

    async def abandon(self) -> None:
        """End the session as failed, unless somebody turns out to be there: here, or on another gateway."""
        live, patience = self._live, self._live.hub.config.abandon_after
        if not live.deserted or not live.quiet_for(patience):
            return
        known = (live.record.epoch, live.record.heartbeat)
        stored = await live.hub.store.sessions.load(live.session_id)
        if stored is not None:
            await live.renew(stored)
        if stored is None or (stored.epoch, stored.heartbeat) != known:
            live.last_active = live.hub.clock()
        elif not live.ended and live.quiet_for(patience):
            await self._end("failed", "abandoned", epoch=stored.epoch, heartbeat=stored.heartbeat)

    def adopt(self, stored: SessionRecord) -> None:
        """Take over an end that stands in the store."""
        if stored.ended_at is not None and not self._live.ended:
            status: FinalStatus = "completed" if stored.status == "completed" else "failed"
            self._set(status, stored.ended_at, stored.end_reason)

    async def _end(self, status: FinalStatus, reason: str | None, **unchanged: object) -> bool:
        """End it in the store, once. Returns whether this end is the one that stands."""
        live, store = self._live, self._live.hub.store.sessions
        ended_at = utc_now()
        if await persist(lambda: store.end(live.record, status, ended_at, reason, **unchanged)):
            self._set(status, ended_at, reason)
            live.hub.lazy_fields.written(live)
            return True
        stored = await persist(lambda: store.load(live.session_id))
        if stored is None:
            raise SessionNotFound(live.session_id)
        await live.renew(stored)
        return stored.ended_at == ended_at

    def _set(self, status: FinalStatus, ended_at: datetime, reason: str | None) -> None:
        record = self._live.record
        before = record.status
        record.status, record.ended_at, record.end_reason = status, ended_at, reason
        self._begin_grace()
        self._live.changed(before)

    def _begin_grace(self) -> None:
        """What is left of the time is measured on the loop's clock."""
        hub, ended_at = self._live.hub, self._live.record.ended_at
        assert ended_at is not None
        passed = (utc_now() - ended_at) / timedelta(seconds=1)
        left = min(hub.config.end_grace, hub.config.end_grace - passed)
        if left > 0:
            self._timer = hub.loop.call_later(left, self._grace_over)
        else:
            self._grace_over()

    def _grace_over(self) -> None:
        self._timer = None
        self.takes_events = False
        publisher = self._live.publisher
        if publisher is not None:
            publisher.close(CloseCode.SESSION_ENDED, "the session has ended")

    def forget_timer(self) -> None:
        """Nothing more is to happen by itself."""
        if self._timer is not None:
            self._timer.cancel()
