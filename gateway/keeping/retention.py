"""Erases sessions whose time is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from turnwire.gateway.clock import utc_now
from turnwire.gateway.keeping.retention_rules import RetentionRules
from turnwire.gateway.sessions.erasing import Erasing
from turnwire.gateway.sessions.pages import Place
from turnwire.protocol.errors import PublisherConnected, TurnwireError
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionQuery, SessionRecord

_PAGE: Final = 50
_PAUSE: Final = 0.02
"""Seconds between two sessions: acks come first."""
_SHORTEST_LEASE: Final = 60.0
_MILLISECOND: Final = timedelta(milliseconds=1)
_log = logging.getLogger("turnwire.keeping")


class Retention:
    """Looks now and again for sessions whose time is over. One of all gateways does it, by a lease in the store.

    Sessions are found by the index of their starts, in windows, and erased by computed keys, as one that somebody asks
    to erase. Owned by the task that calls `run`.
    """

    def __init__(
        self,
        store: Store,
        erasing: Erasing,
        rules: RetentionRules,
        erased: Callable[[str], None],
        *,
        interval: float,
        shared: bool,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`erased` is told the id of each session. `shared`: other gateways use the database."""
        self._store = store
        self._erasing = erasing
        self._rules = rules
        self._erased = erased
        self._interval = interval
        self._shared = shared
        self._now = now
        self._holder = uuid4().hex

    async def run(self, prepared: asyncio.Event) -> None:
        """As long as the gateway lives."""
        await prepared.wait()
        while True:
            try:
                count = await self.look()
                if count:
                    _log.info("%d sessions were erased, as their time was over", count)
            except TurnwireError as error:
                _log.warning("retention goes on in %.0f s: %s", self._interval, error)
            except Exception:
                _log.exception("unexpected error in retention")
            await asyncio.sleep(self._interval)

    async def look(self) -> int:
        """Erase what is due, and return how many sessions that were. Raises StorageUnavailable."""
        count = 0
        before: Place | None = None
        newest = self._now() - self._rules.shortest + _MILLISECOND
        while await self._has_lease():
            page = await self._store.sessions.page(
                SessionQuery(limit=_PAGE, status=("completed", "failed"), started_before=newest, before=before)
            )
            for record in page:
                if self._is_due(record):
                    count += await self._erase(record)
                    await asyncio.sleep(_PAUSE)
            if len(page) < _PAGE:
                break
            before = page[-1].started_at, page[-1].session_id
        return count

    def _is_due(self, record: SessionRecord) -> bool:
        return self._rules.is_due(record, self._now())

    async def _erase(self, record: SessionRecord) -> bool:
        """Erase the session, unless it has become another one, or is not due any more. Return whether it is gone."""
        gone = False
        with suppress(PublisherConnected):  # it has just ended, and is to be kept for hardly any time
            gone = await self._erasing.erase(
                record.session_id, force=False, only_if=lambda now: now.life == record.life and self._is_due(now)
            )
        if gone:
            self._erased(record.session_id)
        return gone

    async def _has_lease(self) -> bool:
        """Return whether this gateway is the one that erases, for now."""
        if not self._shared:
            return True
        seconds = max(_SHORTEST_LEASE, self._interval / 2)
        now = self._now()
        return await self._store.leases.take("retention", self._holder, now, now + timedelta(seconds=seconds))
