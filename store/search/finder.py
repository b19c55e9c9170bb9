"""Reads of the projection: pages and counts. Everything here blocks and belongs to one thread."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from turnwire.protocol.times import to_millis
from turnwire.store.search.tables import ORDINAL_OF_TEXT, first_ordinal, open_projection, text_rowid, text_rowid_of
from turnwire.store.session_filter import SearchFilter
from turnwire.store.sessions import SessionQuery

PAGE_SECONDS = 0.06
"""The longest search for a page. After it, the answer says where the search stopped."""
COUNT_SECONDS = 0.03
"""The longest search for a count."""
FEW = 1000
"""The most matches of a filter for which its index is used. For other filters, all sessions are scanned in order."""
_FIRST_WINDOW, _LAST_WINDOW = 256, 16_384
_END = 2**62

Clause = tuple[str, list[Any]]
Row = tuple[int, str, int]
"""The ordinal, the id, and the start in milliseconds since 1970."""


class Found(Struct, frozen=True):
    """The ids found, in order.

    `stopped_at` is the (start in milliseconds since 1970, id) of the last session searched, if time ran out.
    """

    ids: list[str]
    stopped_at: tuple[int, str] | None = None


class Count(Struct, frozen=True):
    """The number of matching sessions. A lower bound unless `exact`."""

    value: int
    exact: bool


class Finder:
    """Read access to the projection in one file. Methods raise sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self._connection = open_projection(path)

    def close(self) -> None:
        self._connection.close()

    @property
    def connection(self) -> sqlite3.Connection:
        return self._connection

    def page(self, query: SessionQuery, seconds: float = PAGE_SECONDS) -> Found:
        found: list[str] = []
        search = Scan(self._connection, query)
        stopped = search.run(query.limit, seconds, lambda rows: found.extend(row[1] for row in rows))
        return Found(found[: query.limit], stopped)

    def count(self, query: SessionQuery, up_to: int, seconds: float = COUNT_SECONDS) -> Count:
        """Count the matches over all pages, whatever the cursor, up to `up_to`."""
        counted = 0

        def add(rows: list[Row]) -> None:
            nonlocal counted
            counted += len(rows)

        search = Scan(self._connection, query, whole=True)
        stopped = search.run(up_to + 1, seconds, add)
        return Count(min(counted, up_to), stopped is None and counted <= up_to)


class Scan:
    """One scan through the sessions in order, window by window."""

    def __init__(self, connection: sqlite3.Connection, query: SessionQuery, *, whole: bool = False) -> None:
        self._connection = connection
        self._ascending = query.ascending
        self._words = query.more.words
        self._clauses = _clauses(query)
        self._low, self._high = self._bounds(query, whole=whole)

    def _bounds(self, query: SessionQuery, *, whole: bool) -> tuple[int, int]:
        """Return the range of ordinals to scan: inclusive start, exclusive end."""
        low = 0 if query.started_after is None else first_ordinal(to_millis(query.started_after) + 1)
        high = _END if query.started_before is None else first_ordinal(to_millis(query.started_before))
        if query.before is not None and not whole:
            here = self._place(to_millis(query.before[0]), query.before[1])
            if self._ascending:
                low = max(low, here + 1)
            else:
                high = min(high, here)
        return low, high

    def _place(self, started_ms: int, session_id: str) -> int:
        """Return the ordinal of the previous page's last session, or where it would be."""
        row = self._connection.execute("SELECT ordinal FROM sessions WHERE id = ?", (session_id,)).fetchone()
        if row is not None:
            return int(row[0])
        return first_ordinal(started_ms + 1) - 1 if self._ascending else first_ordinal(started_ms)

    def run(self, wanted: int, seconds: float, take: Any) -> tuple[int, str] | None:
        """Call `take` with lists of matches until `wanted` are found.

        Return where the search stopped if time ran out: (start in milliseconds since 1970, id).
        """
        few = self._rarest()
        if few is not None:
            rows = self._matches(self._low, self._high, wanted, few)
            take(rows)
            return None
        deadline, width = time.monotonic() + seconds, _FIRST_WINDOW
        while wanted > 0 and self._low < self._high:
            edge = self._edge(width)
            low, high = (self._low, edge) if self._ascending else (edge, self._high)
            rows = self._matches(low, high, wanted, None)
            take(rows)
            wanted -= len(rows)
            self._low, self._high = (edge, self._high) if self._ascending else (self._low, edge)
            if wanted > 0 and self._low < self._high and time.monotonic() > deadline:
                return self._last_before(edge)
            width = min(width * 4, _LAST_WINDOW)
        return None

    def _edge(self, width: int) -> int:
        """Return the ordinal at which a window of `width` sessions ends."""
        order, end = ("ASC", _END) if self._ascending else ("DESC", 0)
        sql = (
            f"SELECT ordinal FROM sessions WHERE ordinal >= ? AND ordinal < ? ORDER BY ordinal {order} LIMIT 1 OFFSET ?"
        )
        row = self._connection.execute(sql, (self._low, self._high, width)).fetchone()
        if row is None:
            return self._high if self._ascending and self._high < _END else self._low if not self._ascending else end
        return int(row[0]) if self._ascending else int(row[0]) + 1

    def _last_before(self, edge: int) -> tuple[int, str]:
        """Return the last session searched."""
        sql = "SELECT started, id FROM sessions WHERE ordinal >= ? ORDER BY ordinal ASC LIMIT 1"
        if self._ascending:
            sql = "SELECT started, id FROM sessions WHERE ordinal < ? ORDER BY ordinal DESC LIMIT 1"
        started, session_id = self._connection.execute(sql, (edge,)).fetchone()
        return int(started), str(session_id)

    def _matches(self, low: int, high: int, limit: int, few: Clause | None) -> list[Row]:
        words = [self._said_in(word) if few is not None else self._said(word, low, high) for word in self._words]
        clauses = [*self._clauses, *words]
        if few is not None:
            clauses.append((f"ordinal IN ({few[0]})", few[1]))
        where = " AND ".join(["ordinal >= ? AND ordinal < ?", *(sql for sql, _ in clauses)])
        values = [low, high, *(value for _, part in clauses for value in part), limit]
        order = "ASC" if self._ascending else "DESC"
        # Scan in order: the results of a filter's index would have to be sorted.
        source = "sessions NOT INDEXED" if few is None else "sessions"
        sql = f"SELECT ordinal, id, started FROM {source} WHERE {where} ORDER BY ordinal {order} LIMIT ?"
        return self._connection.execute(sql, values).fetchall()

    def _said_in(self, word: str) -> Clause:
        """Return the condition for a word that checks each of few sessions."""
        sql = "EXISTS (SELECT 1 FROM said WHERE said MATCH ? AND rowid >= {} AND rowid < {})"
        return sql.format(text_rowid_of("ordinal"), text_rowid_of("(ordinal + 1)")), [f'"{word}"']

    def _said(self, word: str, low: int, high: int) -> Clause:
        """Return the condition for a word that searches a whole window of sessions at once."""
        sql = f"ordinal IN (SELECT {ORDINAL_OF_TEXT} FROM said WHERE said MATCH ? AND rowid >= ? AND rowid < ?)"
        return sql, [f'"{word}"', text_rowid(low, 0), min(2**63 - 1, text_rowid(high, 0))]

    def _rarest(self) -> Clause | None:
        """Return a subquery of at most FEW ordinals that include all matches, or None."""
        drivers = [*self._drivers, *(self._all_of(word) for word in self._words)]
        best: tuple[int, Clause] | None = None
        for sql, values in drivers:
            counted = f"SELECT count(*) FROM (SELECT 1 FROM ({sql}) LIMIT {FEW + 1})"
            count = int(self._connection.execute(counted, values).fetchone()[0])
            if count <= FEW and (best is None or count < best[0]):
                best = count, (sql, values)
        return None if best is None else best[1]

    @property
    def _drivers(self) -> list[Clause]:
        found = []
        for sql, values in self._clauses:
            if sql == _METADATA:
                found.append(("SELECT ordinal FROM metadata WHERE key = ? AND value = ?", values))
            elif sql not in _BROAD:
                found.append((f"SELECT ordinal FROM sessions WHERE {sql}", values))
        return found

    def _all_of(self, word: str) -> Clause:
        return f"SELECT {ORDINAL_OF_TEXT} FROM said WHERE said MATCH ?", [f'"{word}"']


_ENDED = "ended IS NOT NULL"
_NO_ERRORS = "errors = 0"
_METADATA = "EXISTS (SELECT 1 FROM metadata WHERE key = ? AND value = ? AND metadata.ordinal = sessions.ordinal)"
_NO_METADATA = (
    "NOT EXISTS (SELECT 1 FROM metadata WHERE key = ? AND value <> '' AND metadata.ordinal = sessions.ordinal)"
)
_NO_REASON = "end_reason IS NULL"
_BROAD = {_ENDED, _NO_ERRORS, _NO_METADATA, _NO_REASON}
"""Conditions that no index serves."""


def _covered(patterns: Sequence[str]) -> Clause:
    """Return the condition for sessions that one of the patterns covers, like `ids_like` in MongoDB."""
    exact = [pattern for pattern in patterns if not pattern.endswith("*")]
    starts = [pattern[:-1] for pattern in patterns if pattern.endswith("*")]
    either = [f"id IN ({', '.join('?' * len(exact))})", *["(id >= ? AND id < ?)"] * len(starts)]
    return f"({' OR '.join(either)})", [*exact, *(edge for each in starts for edge in (each, f"{each}\U0010ffff"))]


def _clauses(query: SessionQuery) -> list[Clause]:
    """Return the conditions on a session, other than its time and its words."""
    more: SearchFilter = query.more
    clauses: list[Clause] = []
    if query.status:
        clauses.append((f"status IN ({', '.join('?' * len(query.status))})", list(query.status)))
    clauses += [
        (sql, [value])
        for sql, value in (
            ("language = ?", query.language),
            ("end_reason = ?", more.end_reason or None),
            ("duration >= ?", more.min_duration_ms),
            ("duration <= ?", more.max_duration_ms),
            ("p95 >= ?", more.min_response_p95_ms),
        )
        if value is not None
    ]
    if query.patterns is not None:
        clauses.append(_covered(query.patterns))
    if more.id_prefix is not None:
        clauses.append(("id >= ? AND id < ?", [more.id_prefix, more.id_prefix + "\U0010ffff"]))
    for name, least in (("interruptions", more.min_interruptions), ("tools_failed", more.tools_failed)):
        if least is not None:
            clauses.append((f"{name} >= ? AND {name} > 0" if least else f"{name} >= ?", [least]))
    if more.has_errors is not None:
        clauses.append(("errors > 0" if more.has_errors else _NO_ERRORS, []))
    for key, value in more.metadata:
        clauses.append((_METADATA, [key, value]) if value else (_NO_METADATA, [key]))
    if more.end_reason == "":
        clauses.append((_NO_REASON, []))
    if more.wants_end:
        clauses.append((_ENDED, []))
    return clauses
