"""Lists the sessions that pass all filters, by the search if there is one, else by reading session documents."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

from msgspec import Raw, Struct
from msgspec.structs import replace

from turnwire.gateway.finding.search import Search
from turnwire.gateway.sessions.pages import Pages, Place
from turnwire.protocol.bodies import SessionCount
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import Overloaded
from turnwire.protocol.messages import Session
from turnwire.protocol.times import from_millis
from turnwire.store.mongo import Store
from turnwire.store.search.finder import Count, Found
from turnwire.store.session_record import StoredSession
from turnwire.store.sessions import SessionQuery

_TRIES = 5
"""How often a page is built again without sessions that turn out to have been erased."""


class ListedSession(Struct, frozen=True):
    session_id: str
    started_at: str
    encoded: Raw
    """In JSON."""


class Listed(Struct, frozen=True):
    sessions: list[ListedSession]
    stopped_at: Place | None = None
    """Where the search stopped for lack of time."""
    count: SessionCount | None = None
    searched: list[Literal["id", "metadata", "speech"]] | None = None
    """Where words were looked for."""


class Listing:
    """Asks the search, if there is one that knows all sessions; else reads session documents. Holds no state."""

    def __init__(self, pages: Pages, store: Store, search: Search | None, *, longest_wait: float) -> None:
        """`longest_wait`: seconds that a request waits for its turn."""
        self._pages = pages
        self._store = store
        self._search = search
        self._longest_wait = longest_wait

    @asynccontextmanager
    async def turn(self, client: str, limit: int) -> AsyncIterator[None]:
        """Hold `Pages.turn` during the block. Raises Overloaded if others hold it for too long."""
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._longest_wait):
                    await stack.enter_async_context(self._pages.turn(client, limit))
            except TimeoutError:
                raise Overloaded("too many requests for lists of sessions; try again", "lists") from None
            yield

    async def find(self, query: SessionQuery, count_up_to: int | None) -> Listed:
        """Return the page, with a count up to `count_up_to` unless that is None. Call this within a `turn`.

        Raises StorageUnavailable.
        """
        if not query.more and count_up_to is None:  # every session is in it from its creation on, as exports need
            return Listed(*await self._pages.find(query, _listed))
        if self._search is not None and self._search.ready:
            try:
                return await self._ask(self._search, query, count_up_to)
            except sqlite3.Error:
                pass  # the search logs its own faults; reading the documents is slower
        return await self._scan(query, count_up_to)

    async def _ask(self, search: Search, query: SessionQuery, count_up_to: int | None) -> Listed:
        found, stored = await self._page_of(search, query)
        count = None
        if count_up_to is not None:
            count = count_of(await search.count(query, count_up_to, found.left), min(len(stored), count_up_to))
        stopped = None if found.stopped_at is None else (from_millis(found.stopped_at[0]), found.stopped_at[1])
        return Listed(
            await self._pages.show(stored, query, _listed),
            stopped,
            count,
            ["id", "metadata", "speech"] if query.more.words else None,
        )

    async def _page_of(self, search: Search, query: SessionQuery) -> tuple[Found, list[StoredSession]]:
        """Return what is found, and the sessions themselves. What has been erased meanwhile leaves no gap."""
        for _ in range(_TRIES):
            found = await search.page(query)
            stored = await self._store.sessions.load_stored(found.ids)
            gone = set(found.ids).difference(each.session_id for each in stored)
            if not gone:
                break
            for session_id in gone:
                await search.forget(session_id)
        return found, stored

    async def _scan(self, query: SessionQuery, count_up_to: int | None) -> Listed:
        found, stopped = await self._pages.scan(query, _listed)
        count = None
        if count_up_to is not None:
            every = replace(query, limit=count_up_to + 1, before=None)
            counted, unfinished = await self._pages.scan(every, lambda _: None)
            exact = unfinished is None and len(counted) <= count_up_to
            count = SessionCount(min(len(counted), count_up_to), exact)
        searched: list[Literal["id", "metadata", "speech"]] = ["id", "metadata"]
        return Listed(found, stopped, count, searched if query.more.words else None)


def count_of(counted: Count, on_page: int) -> SessionCount:
    """Return the count, which is never less than what the page shows: a count may stop before a page does."""
    return SessionCount(counted.value if counted.exact else max(counted.value, on_page), counted.exact)


def _listed(session: Session) -> ListedSession:
    return ListedSession(session.session_id, session.started_at, Raw(JSON.encode_value(session)))
