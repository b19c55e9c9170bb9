"""Removes sessions whose time is over: into the archive if there is one, or for good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from turnwire.gateway.clock import utc_now
from turnwire.gateway.keeping.archiving import Archiving
from turnwire.gateway.keeping.retention_rules import RetentionRules
from turnwire.gateway.keeping.shared_work import SharedWork
from turnwire.gateway.sessions.erasing import Erasing
from turnwire.protocol.errors import LogHole, PublisherConnected, TurnwireError
from turnwire.store.archive.objects import ArchiveUnavailable
from turnwire.store.keeping.retention import Note, RetentionMark
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionQuery, SessionRecord

_PAGE: Final = 50
_PAUSE: Final = 0.02
"""Seconds of pause after a session is removed: acks come first."""
_PAGE_PAUSE: Final = 0.02
"""Seconds of pause after a page, because sessions may stay in the database, as archived ones do."""
_MILLISECOND: Final = timedelta(milliseconds=1)
_OVERLAP: Final = timedelta(minutes=10)
"""Tolerance for differing clocks of gateways, and for the time between a note about a session and the change itself."""
_WALK_AFTER: Final = timedelta(days=30)
"""Time after which a look walks through all sessions, because somebody may have changed some in the database itself."""
_log = logging.getLogger("turnwire.keeping")


class Retention:
    """Looks for due sessions from time to time. One of all gateways does this, by a lease in the store.

    The cost of a look depends on what it finds, not on what is stored. It reads, by the index of starts, the sessions
    whose start has passed one of the times of the rules since the last look, and the sessions that are noted. Sessions
    that are not due yet at that moment are noted, and so are sessions that end or are amended later. Only the first
    look with a new set of rules walks through all sessions.

    Sessions are erased by computed keys, like those that a user erases. With an archive, they are archived instead, and
    stay in lists. Owned by the task that calls `run`.
    """

    def __init__(
        self,
        store: Store,
        erasing: Erasing,
        rules: RetentionRules,
        erased: Callable[[str], None],
        *,
        interval: float,
        shared: SharedWork | None,
        now: Callable[[], datetime] = utc_now,
        archive: Archiving | None = None,
        failed: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        """`erased` receives the id of each session that has been erased or archived. `shared` decides which of several
        gateways looks; None without others. `failed` receives the reason why a session could not be archived."""
        self._store = store
        self._marks = store.retention
        self._erasing = erasing
        self._rules = rules
        self._erased = erased
        self._interval = interval
        self._shared = shared
        self._now = now
        self._archive = archive
        self._failed = failed
        self._marks.watch(rules.times[0] - _OVERLAP, now)

    async def run(self, prepared: asyncio.Event) -> None:
        """Look for due sessions for as long as the gateway runs."""
        await prepared.wait()
        while True:
            pause = self._interval
            try:
                if self._shared is None:
                    await self._look_and_tell()
                else:
                    pause = await self._shared.attend(self._look_and_tell)
            except TurnwireError as error:
                _log.warning("retention continues in %.0f s: %s", self._interval, error)
            except Exception:
                _log.exception("unexpected error in retention")
            await asyncio.sleep(pause)

    async def _look_and_tell(self) -> None:
        count = await self.look()
        if count:
            done = "erased" if self._archive is None else "archived"
            _log.info("sessions %s because their time was over: %d", done, count)

    async def look(self) -> int:
        """Remove what is due, and return the number of removed sessions. Raises StorageUnavailable.

        If the archive is away, the look ends early and leaves the rest unchanged. The next look begins there.
        """
        now = self._now()
        mark = await self._marks.mark()
        if mark is None or mark.rules != self._rules.digest or now - mark.walked_at >= _WALK_AFTER:
            mark, queries = RetentionMark(self._rules.digest, now, now), self._all(now)
        else:
            mark, queries = replace(mark, settled=now), self._since(mark.settled, now)
        count = await self._take_notes(await self._marks.notes(), now)
        for query in queries:
            count += await self._take_pages(query, now)
        await self._marks.keep(mark)
        return count

    # --- which sessions ----------------------------------------------------------------------------------------------

    def _all(self, now: datetime) -> list[SessionQuery]:
        """Return a query for all sessions that may be due.

        The query names no statuses: for two of them, the embedded database would read every session for each page.
        """
        return [SessionQuery(limit=_PAGE, started_before=now - self._rules.times[0] + _MILLISECOND)]

    def _since(self, last: datetime, now: datetime) -> list[SessionQuery]:
        """Return queries for the sessions that may have become due since the last look."""
        bands = [(last - each - _MILLISECOND, now - each + _MILLISECOND) for each in self._rules.times]
        return [SessionQuery(limit=_PAGE, started_after=after, started_before=before) for after, before in bands]

    async def _take_pages(self, query: SessionQuery, now: datetime) -> int:
        """Remove the due sessions of a query, and note those that no later look would find."""
        count = 0
        while page := await self._store.sessions.stored_page(query):
            for stored in page:
                record = stored.record()
                if await self._examine(record, now):
                    count += 1
                elif self._is_overlooked(record, now):
                    await self._marks.note(record.session_id, now)
            if len(page) < _PAGE:
                break
            await asyncio.sleep(_PAGE_PAUSE)
            query = replace(query, before=(page[-1].started_at, page[-1].session_id))
        return count

    async def _take_notes(self, notes: Sequence[Note], now: datetime) -> int:
        """Remove the due sessions among the noted ones, and drop the notes that are no longer needed.

        A note that is hardly older than the look stays, because the change that it announces may not be stored yet.
        """
        count = 0
        for start in range(0, len(notes), _PAGE):
            unneeded = {note.session_id for note in notes[start : start + _PAGE]}
            for stored in await self._store.sessions.load_stored(sorted(unneeded)):
                record = stored.record()
                if await self._examine(record, now):
                    count += 1
                elif self._is_overlooked(record, now):
                    unneeded.discard(record.session_id)
            await self._marks.drop(sorted(unneeded), now - _OVERLAP)
        return count

    # --- letting go --------------------------------------------------------------------------------------------------

    async def _examine(self, record: SessionRecord, now: datetime) -> bool:
        """Remove the session if it is due. Return whether it was removed."""
        if not self._is_due(record, now):
            await asyncio.sleep(0)  # decoding large metadata takes milliseconds
            return False
        gone = await self._let_go(record)
        await asyncio.sleep(_PAUSE)
        return gone

    def _is_overlooked(self, record: SessionRecord, now: datetime) -> bool:
        """Return whether the session is still to be removed, though no later look will find it by its start."""
        return not self._is_archived(record) and self._rules.is_late(record, now)

    def _is_due(self, record: SessionRecord, now: datetime) -> bool:
        """Return whether the session is to be removed now. An archived session stays, unless its log is still in the
        database."""
        return not self._is_archived(record) and self._rules.is_due(record, now)

    def _is_archived(self, record: SessionRecord) -> bool:
        return record.archive is not None and (record.archive.cleared or self._archive is None)

    async def _let_go(self, record: SessionRecord) -> bool:
        """Archive or erase the session. Return whether it was removed."""
        if self._archive is None:
            return await self._erase(record)
        try:
            gone = await self._archive.archive(
                record, lambda now: now.life == record.life and self._rules.is_due(now, self._now())
            )
        except LogHole as error:  # affects this session only
            self._failed(error)
            return False
        except ArchiveUnavailable as error:
            self._failed(error)
            raise
        if gone:
            self._erased(record.session_id)
        return gone

    async def _erase(self, record: SessionRecord) -> bool:
        """Erase the session, unless it has been replaced by another one of its id or is no longer due. Return whether
        it is gone."""
        gone = False
        with suppress(PublisherConnected):  # it ended just now, and the rules keep it for a very short time
            gone = await self._erasing.erase(
                record.session_id,
                force=False,
                only_if=lambda now: now.life == record.life and self._is_due(now, self._now()),
            )
        if gone:
            self._erased(record.session_id)
        return gone
