"""The search of one gateway: fed after the commits, asked by REST. SQLite runs in separate threads."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from turnwire.gateway.clock import utc_now
from turnwire.gateway.finding.gathering import Gathering
from turnwire.gateway.finding.learning import NOTED_AFTER, Learning
from turnwire.gateway.finding.notes import Notes
from turnwire.gateway.finding.others import OtherGateways
from turnwire.gateway.finding.reader import SearchReader
from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.mongo import Store
from turnwire.store.search.catalog import Catalog
from turnwire.store.search.finder import COUNT_SECONDS, Count, Found
from turnwire.store.search.ordered_pages import ordered_page as page_in_order
from turnwire.store.search.sums import Sums, SumsQuery
from turnwire.store.search.sums import sums as sums_of
from turnwire.store.sessions import SessionQuery, SessionRecord

FLUSH_SECONDS = 1.5
"""Pause between two flushes. The search index lags behind the log by at most this, plus the time of a write."""
_SESSIONS = 500
"""How many sessions are written at a time. Copying what is known of them takes the event loop a millisecond."""
_IDS = 50
"""How many sessions the database is asked about at a time, to learn whether they still exist. The embedded database
takes 0.25 ms for each, and serves nobody else meanwhile.
"""
_REST = 9
"""The pause after such a question, as a multiple of the time that it took: others use the database meanwhile."""
_CHECK_SECONDS = 1.0
LOOK_SECONDS = 1.0
"""Pause between two looks for what is missing."""

T = TypeVar("T")
_log = logging.getLogger("turnwire.search")


class Search:
    """The search index of all sessions, in a SQLite file that this object owns.

    `ready` is True once the search index has all sessions. If it cannot be used, that is logged once, and the gateway
    works without it.
    """

    def __init__(self, store: Store, path: Path, *, shared: bool, settling: float = 0.0) -> None:
        """`settling`: for how many seconds after its end the log and the stored fields of a session still change.
        `shared`: other gateways may use the database. Their sessions are taken when they begin, are amended and end,
        and once more when they have settled.
        """
        self.ready = False
        self.gathering = Gathering()
        self._store = store
        self._path = path
        self._catalog: Catalog | None = None
        self._writing = ThreadPoolExecutor(1, "search-write")
        self._pages = SearchReader(path, "search-read")
        self._sums = SearchReader(path, "search-sums")
        """Separate, because sums over a month of calls take seconds."""
        self._learning = Learning(store, self._write, timedelta(seconds=settling))
        self._notes = Notes(self._keep_notes)
        self._is_complete = True
        """Whether a start would read only those sessions that may have changed. Assumed until it is known."""
        self._opening = asyncio.Lock()
        self._flushed = asyncio.Lock()
        self._warned = False
        self._others = OtherGateways(store, settling) if shared else None
        self._unwritten: dict[str, None] = {}
        """Sessions that the search index may lack, or hold in an older state."""
        self._unchecked: str | None = None
        """The sessions after this id are from before the start, and may have been erased unnoticed. None: all are known
        to exist.
        """

    # --- asked -------------------------------------------------------------------------------------------------------

    async def page(self, query: SessionQuery) -> Found:
        """Raises sqlite3.Error."""
        return await self._pages.ask(lambda finder: finder.page(query))

    async def ordered_page(self, query: SessionQuery) -> list[str] | None:
        """Return the ids of a page of all stored sessions, in the order of the database.

        None if the search index cannot tell: other gateways may have sessions, or it lacks some.
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

    async def count(self, query: SessionQuery, up_to: int, left: float = 0.0) -> Count:
        """Count matches for at most COUNT_SECONDS and what the page has `left`. Raises sqlite3.Error."""
        return await self._pages.ask(lambda finder: finder.count(query, up_to, COUNT_SECONDS + left))

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
            try:
                await self._write_cut(catalog)  # what a flush that was cancelled has left
                now = utc_now() if self.gathering.cut() else None
                await self._write_cut(catalog)
                await self._settle(catalog, now)
            except sqlite3.Error as error:
                self._warn(error)
                self._lose(self.gathering.drop())

    async def _write_cut(self, catalog: Catalog) -> None:
        """Write what is set aside, some sessions at a time. Raises sqlite3.Error."""
        while self.gathering.is_cut:
            await self._write_some(catalog)

    async def _write_some(self, catalog: Catalog) -> None:
        records, said = self.gathering.take(_SESSIONS)
        try:
            for behind in await self._write(lambda: catalog.take(records, said)):
                self.gathering.missed[behind] = None
        except BaseException:  # also if the request is cancelled whose list needed this
            self._lose([record.session_id for record in records] + [each.session_id for each in said])
            raise

    def _lose(self, session_ids: Sequence[str]) -> None:
        """Note sessions that could not be written, to read them later."""
        lost = dict.fromkeys(session_ids)
        self.gathering.missed |= lost
        self._unwritten |= lost

    async def _settle(self, catalog: Catalog, flushed: datetime | None) -> None:
        """Note when everything was written, and remove the notes of sessions that need none any more."""
        if self.gathering.missed or self._unwritten:
            return
        settled = self._notes.take_settled()
        if flushed is not None or settled:
            await self._write(lambda: catalog.note_flushed(flushed, settled))

    def around(self, record: SessionRecord) -> AbstractAsyncContextManager[None]:
        """Enter this around a write to a session that is new or has ended, so that its change is never missed."""
        is_new = record.ended_at is None and record.started_at > utc_now() - NOTED_AFTER
        if is_new or not self._is_complete:  # a start finds it, or reads all sessions
            return nullcontext()
        return self._notes.around(record.session_id)

    async def _keep_notes(self, session_ids: Sequence[str]) -> None:
        try:
            catalog = await self._open()
            await self._write(lambda: catalog.note(session_ids))
        except (sqlite3.Error, OSError) as error:
            self._warn(error)

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
        """Open the search index, complete it, and keep it up to date for as long as the gateway runs."""
        await prepared.wait()
        while True:
            try:
                await self._keep_up(await self._open())
            except (sqlite3.Error, OSError) as error:
                self._warn(error)
            except StorageUnavailable:
                pass  # /health reports it; the next look continues
            await asyncio.sleep(LOOK_SECONDS)

    async def _open(self) -> Catalog:
        async with self._opening:
            if self._catalog is None:
                self._catalog = await self._write(lambda: Catalog(self._path))
                await self._pages.open()
                await self._sums.open()
            return self._catalog

    async def _keep_up(self, catalog: Catalog) -> None:
        if await self._write(catalog.rebuild_wanted):
            self.ready, self._is_complete = False, False
            await self._write(catalog.clear)
        if not self.ready:
            self._is_complete = await self._write(catalog.complete)
            self._unchecked = "" if self._is_complete else None
            noted = await self._write(catalog.noted)
            await self._learning.learn_all(catalog)
            self._notes.learned(noted)
            self._is_complete = True
            await self.flush()
            await self._write(catalog.note_complete)
            if self._others is not None:
                await self._catch_up(catalog, self._others)
            self.ready = True
        looked = None if self._others is None else await self._hear_of(catalog, self._others)
        for session_id in self.gathering.take_missed():
            try:
                await self._learning.learn(catalog, session_id)
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
        """Find sessions of other gateways: those that have begun or been amended, and those that have ended and
        settled. Return the time of this look; None if nothing has changed.
        """
        changed = await others.look(partial(self._learning.learn_record, catalog))
        self.gathering.missed |= dict.fromkeys(changed)
        return others.looked_at if changed else None

    async def _forget_erased(self, catalog: Catalog) -> None:
        """Continue, for a while, to check whether the sessions from before the start still exist.

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

    async def _write(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writing, work)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("the search index in %s cannot be used: %s", self._path, error)

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
