"""Lists the sessions that pass all filters, by the search if there is one, else by reading session documents."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from turnwire.gateway.finding.search import Search
from turnwire.gateway.sessions.requests import Requests
from turnwire.protocol.bodies import SessionCount
from turnwire.protocol.messages import Session
from turnwire.protocol.times import from_millis
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionQuery, SessionRecord

SCAN_SECONDS = 1.0
"""Longest time to read session documents for one page. Beyond it, the answer says how far the reading has come."""
_SCAN_PAGE = 200

Place = tuple[datetime, str]
"""(startedAt, sessionId)."""


class Listed(Struct, frozen=True):
    sessions: list[Session]
    stopped_at: Place | None = None
    """Where the search stopped for lack of time."""
    count: SessionCount | None = None
    searched: list[Literal["id", "metadata", "speech"]] | None = None
    """Where words were looked for."""


class Listing:
    """Asks the search, if there is one that knows all sessions; else reads session documents. Holds no state."""

    def __init__(self, requests: Requests, store: Store, search: Search | None) -> None:
        self._requests = requests
        self._store = store
        self._search = search

    async def find(self, query: SessionQuery, count_up_to: int | None) -> Listed:
        """Return the page, with a count up to `count_up_to` unless that is None. Raises StorageUnavailable."""
        if not query.more and count_up_to is None and not query.ascending:
            return Listed(await self._requests.list_sessions(query))
        if self._search is not None and self._search.ready:
            try:
                return await self._ask(self._search, query, count_up_to)
            except sqlite3.Error:
                pass  # the search logs its own faults; reading the documents is slower
        return await self._scan(query, count_up_to)

    async def _ask(self, search: Search, query: SessionQuery, count_up_to: int | None) -> Listed:
        found = await search.page(query)
        count = None if count_up_to is None else await search.count(query, count_up_to)
        records = await self._store.sessions.load_all(found.ids)
        stopped = None if found.stopped_at is None else (from_millis(found.stopped_at[0]), found.stopped_at[1])
        return Listed(
            self._requests.as_now(records, query),
            stopped,
            None if count is None else SessionCount(count.value, count.exact),
            ["id", "metadata", "speech"] if query.more.words else None,
        )

    async def _scan(self, query: SessionQuery, count_up_to: int | None) -> Listed:
        await self._requests.flush_for(query)
        found, stopped = await scan(self._store.sessions.page, query)
        count = None
        if count_up_to is not None:
            counted, unfinished = await scan(
                self._store.sessions.page, replace(query, limit=count_up_to + 1, before=None)
            )
            exact = unfinished is None and len(counted) <= count_up_to
            count = SessionCount(min(len(counted), count_up_to), exact)
        searched: list[Literal["id", "metadata", "speech"]] = ["id", "metadata"]
        return Listed(self._requests.as_now(found, query), stopped, count, searched if query.more.words else None)


async def scan(
    read: Callable[[SessionQuery], Awaitable[list[SessionRecord]]], query: SessionQuery
) -> tuple[list[SessionRecord], Place | None]:
    """Read sessions until the page is full. Return those that pass, and where the reading stopped for lack of time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SCAN_SECONDS
    found: list[SessionRecord] = []
    before = query.before
    while True:
        page = await read(replace(query, limit=_SCAN_PAGE, before=before))
        found += [record for record in page if query.takes(record)]
        if len(found) >= query.limit or len(page) < _SCAN_PAGE:
            return found[: query.limit], None
        before = page[-1].started_at, page[-1].session_id
        if loop.time() > deadline:
            return found, before
