"""Reads of the search index: pages and counts. Everything here blocks and belongs to one thread."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from msgspec import Struct

from turnwire.store.search.scan import Row, Scan
from turnwire.store.search.tables import open_index
from turnwire.store.sessions import SessionQuery

PAGE_SECONDS = 0.06
"""Seconds of work after which a search for a page stops. The answer then says how far the search has come."""
COUNT_SECONDS = 0.03
"""Seconds of work for a count, besides those of PAGE_SECONDS that its page has left."""


class Found(Struct, frozen=True):
    """The ids found, in order.

    `stopped_at` is the (start in milliseconds since 1970, id) of the last session searched, if time ran out. `left` are
    the seconds of work that were left.
    """

    ids: list[str]
    stopped_at: tuple[int, str] | None = None
    left: float = 0.0


class Count(Struct, frozen=True):
    """The number of matching sessions. A lower bound unless `exact`."""

    value: int
    exact: bool


class Finder:
    """Read access to the search index in one file. Methods raise sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self._connection = open_index(path)

    def close(self) -> None:
        self._connection.close()

    @property
    def connection(self) -> sqlite3.Connection:
        return self._connection

    def page(self, query: SessionQuery, seconds: float = PAGE_SECONDS) -> Found:
        found: list[str] = []
        until = time.thread_time() + seconds
        search = Scan(self._connection, query)
        stopped = search.run(query.limit, seconds, lambda rows: found.extend(row[1] for row in rows))
        return Found(found[: query.limit], stopped, max(0.0, until - time.thread_time()))

    def count(self, query: SessionQuery, up_to: int, seconds: float = COUNT_SECONDS) -> Count:
        """Count the matches over all pages, regardless of the cursor, up to `up_to`, for this many seconds of work."""
        counted = 0

        def add(rows: list[Row]) -> None:
            nonlocal counted
            counted += len(rows)

        search = Scan(self._connection, query, whole=True)
        stopped = search.run(up_to + 1, seconds, add)
        return Count(min(counted, up_to), stopped is None and counted <= up_to)
