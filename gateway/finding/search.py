"""The search of one gateway: fed after the commits, asked by REST. SQLite runs in separate threads."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from turnwire.gateway.finding.gathering import Gathering, text_in
from turnwire.gateway.finding.others import OVERLAP, OtherGateways
from turnwire.gateway.finding.reader import Reader
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import Event
from turnwire.protocol.rules import status_after_event
from turnwire.protocol.times import from_millis
from turnwire.store.archive.manifest import ArchiveDamaged
from turnwire.store.event_log import READ_WINDOW
from turnwire.store.mongo import Store
from turnwire.store.search.catalog import Catalog, Said
from turnwire.store.search.finder import Count, Found
from turnwire.store.search.ordered_pages import ordered_page as page_in_order
from turnwire.store.search.sums import Sums, SumsQuery
from turnwire.store.search.sums import sums as sums_of
from turnwire.store.sessions import SessionQuery, SessionRecord

FLUSH_SECONDS = 1.5
"""Pause between two flushes: the search is behind the log by at most this, plus the time of a write."""
_PAGE = 100
_IDS = 50
"""Sessions of which the database is asked at a time whether they are still there. The embedded one takes 0.25 ms for
each, and serves nobody else meanwhile."""
_REST = 9
"""How many times as long as that took the database is then left to others."""
_CHECK_SECONDS = 1.0
LOOK_SECONDS = 1.0
"""Pause between two looks at what is missing."""
_PAUSE_SECONDS = 0.02
"""Pause between two pages of sessions that are read into the search: others come first."""

T = TypeVar("T")
_log = logging.getLogger("turnwire.search")


class Search:
    """The search's projection of all sessions, in a SQLite file that this object owns.

    `ready` is True once the projection has all sessions. If it cannot be used, that is logged once, and the gateway
    works without it.
    """

    def __init__(self, store: Store, path: Path, *, shared: bool, settling: float = 0.0) -> None:
        """`shared`: other gateways may use the database. Their sessions are read when they begin, are amended, or end,
        and again `settling` seconds later, when their log and their stored fields no longer change."""
        self.ready = False
        self.gathering = Gathering()
        self._store = store
        self._path = path
        self._catalog: Catalog | None = None
        self._writing = ThreadPoolExecutor(1, "search-write")
        self._pages = Reader(path, "search-read")
        self._sums = Reader(path, "search-sums")
        """A separate reader, because sums over a month of calls take seconds."""
        self._flushed = asyncio.Lock()
        self._warned = False
        self._others = OtherGateways(store, settling) if shared else None
        self._unwritten: dict[str, None] = {}
        """Sessions that may be unknown to the projection, or other than it knows them."""
        self._unchecked: str | None = None
        """The sessions behind this id are from before the start, and may have been erased without this search having
        heard of it. None: all are known to exist."""

    # --- asked -------------------------------------------------------------------------------------------------------

    async def page(self, query: SessionQuery) -> Found:
        """Raises sqlite3.Error."""
        return await self._pages.ask(lambda finder: finder.page(query))

    async def ordered_page(self, query: SessionQuery) -> list[str] | None:
        """Return the ids of a page of all stored sessions, in the order of the database.

        None if this is not the place to ask: other gateways may have sessions, or the projection lacks some.
        """
        if self._others is not None or not self.ready:
            return None
        await self.flush()
        if self._unwritten:
            return None
        try:
            return await self._pages.ask(lambda finder: page_in_order(finder.connection, query))
        except sqlite3.Error:
            return None

    async def count(self, query: SessionQuery, up_to: int) -> Count:
        """Raises sqlite3.Error."""
        return await self._pages.ask(lambda finder: finder.count(query, up_to))

    async def sums(self, query: SumsQuery) -> Sums:
        """Raises sqlite3.Error."""
        return await self._sums.ask(lambda finder: sums_of(finder.connection, query))

    # --- fed ---------------------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Write what has been gathered. What cannot be written is read from the log later."""
        async with self._flushed:
            catalog = self._catalog
            if catalog is None:
                return
            records, said = self.gathering.take()
            if not records and not said:
                return
            try:
                for behind in await self._write(lambda: catalog.take(records, said)):
                    self.gathering.missed[behind] = None
            except sqlite3.Error as error:
                self._warn(error)
                lost = [record.session_id for record in records] + [each.session_id for each in said]
                self.gathering.missed |= dict.fromkeys(lost)
                self._unwritten |= dict.fromkeys(lost)

    async def forget(self, session_id: str) -> None:
        """Remove an erased session with all its texts. If it cannot be reached now, `_forget_erased` removes it
        later."""
        self.gathering.erased(session_id)
        catalog = self._catalog
        if catalog is not None:
            try:
                await self._write(lambda: catalog.remove([session_id]))
            except sqlite3.Error as error:
                self._warn(error)

    async def run(self, prepared: asyncio.Event) -> None:
        """Open the projection, complete it, and keep it up to date for as long as the gateway runs."""
        await prepared.wait()
        while True:
            try:
                await self._open()
                await self._keep_up()
            except (sqlite3.Error, OSError) as error:
                self._warn(error)
            except StorageUnavailable:
                pass  # /health tells of it; the next look goes on
            await asyncio.sleep(LOOK_SECONDS)

    async def _open(self) -> None:
        if self._catalog is None:
            self._catalog = await self._write(lambda: Catalog(self._path))
            await self._pages.open()
            await self._sums.open()

    async def _keep_up(self) -> None:
        catalog = self._catalog
        assert catalog is not None
        if await self._write(catalog.rebuild_wanted):
            self.ready = False
            await self._write(catalog.clear)
        if not self.ready:
            self._unchecked = "" if await self._write(catalog.complete) else None
            await self._learn_all(catalog)
            if self._others is not None:
                await self._catch_up(catalog, self._others)
            self.ready = True
        looked = None if self._others is None else await self._hear_of(catalog, self._others)
        for session_id in self.gathering.take_missed():
            try:
                await self._learn(catalog, session_id)
                self._unwritten.pop(session_id, None)
            except BaseException:
                self.gathering.missed[session_id] = None
                raise
        if looked is not None:
            await self._write(partial(catalog.note_looked, looked))
        await self._forget_erased(catalog)

    async def _catch_up(self, catalog: Catalog, others: OtherGateways) -> None:
        """Read again the sessions that were amended while this gateway was away."""
        looked = await self._write(catalog.looked)
        if looked is None:
            await self._write(partial(catalog.note_looked, others.looked_at))
        else:
            self.gathering.missed |= dict.fromkeys(await others.amended_since(looked))

    async def _hear_of(self, catalog: Catalog, others: OtherGateways) -> datetime | None:
        """Learn of sessions of other gateways: first when they begin or are amended, and completely when they have
        ended and settled. Return the time of this look, or None if nothing has changed."""
        changed = await others.look(partial(self._learn_record, catalog))
        self.gathering.missed |= dict.fromkeys(changed)
        return others.looked_at if changed else None

    async def _learn_all(self, catalog: Catalog) -> None:
        """Read the sessions that the projection has as unended, then all that have started since.

        If the projection was never complete, read all sessions.
        """
        complete = await self._write(catalog.complete)
        if complete:
            for known in await self._write(catalog.unended):
                await self._learn(catalog, known.session_id)
        newest = await self._write(catalog.newest_started) if complete else None
        since = None if newest is None else from_millis(newest) - OVERLAP
        query = SessionQuery(limit=_PAGE, started_after=since)
        while page := await self._store.sessions.page(query):
            for record in page:
                await self._learn_record(catalog, record)
            last = page[-1]
            if len(page) < _PAGE:
                break
            query = replace(query, before=(last.started_at, last.session_id))
            await asyncio.sleep(_PAUSE_SECONDS)
        await self._write(catalog.note_complete)

    async def _forget_erased(self, catalog: Catalog) -> None:
        """Go on, for a while, to look whether the sessions from before the start are still there.

        Other gateways, or this one before it crashed, may have erased some. What is shown does not wait for this: a
        session is read from the database before it is listed.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + _CHECK_SECONDS
        while (after := self._unchecked) is not None and loop.time() < until:
            began = loop.time()
            known = await self._write(partial(catalog.ids_after, after, _IDS))
            there = await self._store.sessions.which_exist(known) if known else set()
            for session_id in known:
                if session_id not in there:
                    await self.forget(session_id)
            self._unchecked = known[-1] if known else None
            await asyncio.sleep((loop.time() - began) * _REST)

    async def _learn(self, catalog: Catalog, session_id: str) -> None:
        record = await self._store.sessions.load(session_id)
        if record is None:
            await self._write(lambda: catalog.remove([session_id]))
        else:
            await self._learn_record(catalog, record, whole=True)

    async def _learn_record(self, catalog: Catalog, record: SessionRecord, *, whole: bool = False) -> None:
        """Write the session, and the texts of events that the projection lacks, read from the log.

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
        texts = [text for event in events if (text := text_in(event.type, event.payload)) is not None]
        said = Said(events[0].session_id, events[0].seq, events[-1].seq, "\n".join(texts))
        await self._write(lambda: catalog.take([], [said]))

    async def _write(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writing, work)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("the search in %s cannot be used: %s", self._path, error)

    async def close(self) -> None:
        """Write what is left, and close the file."""
        await self.flush()
        self.ready = False
        await self._pages.close()
        await self._sums.close()
        if self._catalog is not None:
            await self._write(self._catalog.close)
            self._catalog = None
        self._writing.shutdown(wait=False)
