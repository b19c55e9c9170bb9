"""Lets sessions go whose time is over: into the archive if there is one, or for good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from turnwire.gateway.clock import utc_now
from turnwire.gateway.keeping.archiving import Archiving
from turnwire.gateway.keeping.retention_rules import RetentionRules
from turnwire.gateway.sessions.erasing import Erasing
from turnwire.gateway.sessions.pages import Place
from turnwire.protocol.errors import LogHole, PublisherConnected, TurnwireError
from turnwire.store.archive.objects import ArchiveUnavailable
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionQuery, SessionRecord

_PAGE: Final = 50
_PAUSE: Final = 0.02
"""Seconds between two sessions: acks come first."""
_SHORTEST_LEASE: Final = 60.0
_MILLISECOND: Final = timedelta(milliseconds=1)
_PAGE_PAUSE: Final = 0.02
"""Seconds between two pages: many sessions may stay, as archived ones do."""
_log = logging.getLogger("turnwire.keeping")


class Retention:
    """Looks now and again for sessions whose time is over. One of all gateways does it, by a lease in the store.

    Sessions are found by the index of their starts, in windows, and erased by computed keys, as one that somebody asks
    to erase. With an archive they are archived instead, and stay in lists. Owned by the task that calls `run`.
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
        archive: Archiving | None = None,
        failed: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        """`erased` is told the id of each session that has been erased or archived. `shared`: other gateways use the
        database. `failed` is told why a session could not be archived.
        """
        self._store = store
        self._erasing = erasing
        self._rules = rules
        self._erased = erased
        self._interval = interval
        self._shared = shared
        self._now = now
        self._archive = archive
        self._failed = failed
        self._holder = uuid4().hex

    async def run(self, prepared: asyncio.Event) -> None:
        """As long as the gateway lives."""
        await prepared.wait()
        while True:
            try:
                count = await self.look()
                if count:
                    done = "erased" if self._archive is None else "archived"
                    _log.info("%d sessions were %s, as their time was over", count, done)
            except TurnwireError as error:
                _log.warning("retention goes on in %.0f s: %s", self._interval, error)
            except Exception:
                _log.exception("unexpected error in retention")
            await asyncio.sleep(self._interval)

    async def look(self) -> int:
        """Let go what is due, and return how many sessions that were. Raises StorageUnavailable.

        Ends early, with what is left as it was, if the archive is away.
        """
        count = 0
        before: Place | None = None
        newest = self._now() - self._rules.shortest + _MILLISECOND
        while await self._has_lease():
            page = await self._store.sessions.stored_page(
                SessionQuery(limit=_PAGE, status=("completed", "failed"), started_before=newest, before=before)
            )
            for stored in page:
                record = stored.record()
                if self._is_due(record):
                    count += await self._let_go(record)
                    await asyncio.sleep(_PAUSE)
                else:
                    await asyncio.sleep(0)  # to decode large metadata takes milliseconds
            if len(page) < _PAGE:
                break
            await asyncio.sleep(_PAGE_PAUSE)
            before = page[-1].started_at, page[-1].session_id
        return count

    def _is_due(self, record: SessionRecord) -> bool:
        """Return whether the session is to leave. What is archived stays, unless it is still in the database too."""
        mark = record.archive
        archived = mark is not None and (mark.cleared or self._archive is None)
        return not archived and self._rules.is_due(record, self._now())

    async def _let_go(self, record: SessionRecord) -> bool:
        """Return whether the session has left."""
        if self._archive is None:
            return await self._erase(record)
        try:
            gone = await self._archive.archive(
                record, lambda now: now.life == record.life and self._rules.is_due(now, self._now())
            )
        except LogHole as error:  # this session only
            self._failed(error)
            return False
        except ArchiveUnavailable as error:
            self._failed(error)
            raise
        if gone:
            self._erased(record.session_id)
        return gone

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
