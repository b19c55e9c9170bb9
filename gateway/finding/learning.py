"""Reads sessions from the database into the search index: all, or those that a killed gateway may not have
written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from msgspec.structs import replace

from turnwire.gateway.finding.gathering import texts_in
from turnwire.protocol.messages import Event
from turnwire.protocol.rules import status_after_event
from turnwire.protocol.times import from_millis
from turnwire.store.archive.manifest import ArchiveDamaged
from turnwire.store.event_log import READ_WINDOW
from turnwire.store.mongo import Store
from turnwire.store.search.catalog import Catalog, Said
from turnwire.store.sessions import SessionQuery, SessionRecord

NOTED_AFTER = timedelta(seconds=30)
"""Sessions that began longer ago than this are noted before they are created, because a start looks only for newer
ones."""
_LOOK_BACK = 2 * NOTED_AFTER
_PAGE = 100
_PAUSE_SECONDS = 0.02
"""Pause between two pages of sessions that are read into the search: other work comes first."""

T = TypeVar("T")


class Write(Protocol):
    """Runs work in the thread that writes the search index."""

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]: ...


class Learning:
    """Reads into one search index. Methods raise StorageUnavailable and sqlite3.Error."""

    def __init__(self, store: Store, write: Write, settling: timedelta) -> None:
        """`settling`: how long a session still changes after its end."""
        self._store = store
        self._write = write
        self._settling = settling

    async def learn_all(self, catalog: Catalog) -> None:
        """Read all sessions. If the search index was once complete, read only those whose current state it may not
        know."""
        since = None
        if await self._write(catalog.complete):
            since = await self._learn_changed(catalog)
        query = SessionQuery(limit=_PAGE, started_after=since)
        while page := await self._store.sessions.page(query):
            for record in page:
                await self.learn_record(catalog, record)
            last = page[-1]
            if len(page) < _PAGE:
                break
            query = replace(query, before=(last.started_at, last.session_id))
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _learn_changed(self, catalog: Catalog) -> datetime | None:
        """Read the sessions that have not ended as far as the search index knows, those that had just ended when it was
        last written, and those that are noted. Return the start time from which on all other sessions must be read."""
        flushed = await self._write(catalog.flushed)
        known = {each.session_id: None for each in await self._write(catalog.unended)}
        if flushed is not None:
            ended = flushed - self._settling
            known |= dict.fromkeys(await self._write(lambda: catalog.ended_since(ended)))
        for session_id in known | dict.fromkeys(await self._write(catalog.noted)):
            await self.learn(catalog, session_id)
        newest = await self._write(catalog.newest_started)
        moments = [each for each in (flushed, None if newest is None else from_millis(newest)) if each is not None]
        return min(moments) - _LOOK_BACK if moments else None

    async def learn(self, catalog: Catalog, session_id: str) -> None:
        record = await self._store.sessions.load(session_id)
        if record is None:
            await self._write(lambda: catalog.remove([session_id]))
        else:
            await self.learn_record(catalog, record, whole=True)

    async def learn_record(self, catalog: Catalog, record: SessionRecord, *, whole: bool = False) -> None:
        """Write the session, and the texts of events that the search index lacks, read from the log.

        `whole`: look for events after the stored `lastSeq` even if the session has ended.
        """
        await self._write(lambda: catalog.take([record], []))
        indexed = await self._write(lambda: catalog.indexed(record.session_id)) or 0
        events = self._store.events
        while indexed < record.last_seq:
            last = min(indexed + READ_WINDOW, record.last_seq)
            try:
                found = await events.read(record.session_id, indexed + 1, last, record.life)
            except ArchiveDamaged:  # it must not keep all others from being found
                return
            await self._write_texts(catalog, found)
            indexed = last
        unsure = whole or record.ended_at is None  # the stored lastSeq may be behind, and so may the status
        if unsure and (tail := await events.head_after(record.session_id, indexed, record.life)):
            await self._write_texts(catalog, tail)
            indexed = tail[-1].seq
        if indexed and record.status == "initiated":
            record.status = status_after_event(record.status)
            await self._write(lambda: catalog.take([record], []))

    async def _write_texts(self, catalog: Catalog, events: Sequence[Event]) -> None:
        said = Said(events[0].session_id, events[0].seq, events[-1].seq, "\n".join(texts_in(events)))
        await self._write(lambda: catalog.take([], [said]))
