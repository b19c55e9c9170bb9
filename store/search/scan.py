"""Scans sessions in order: either those that an index lists, or all."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from turnwire.protocol.times import to_millis
from turnwire.store.search.conditions import Candidates, Condition, conditions, says, says_between, texts_with
from turnwire.store.search.tables import LEAST_ORDINAL, first_ordinal, ordinal_of_text, started_of
from turnwire.store.sessions import SessionQuery

MANY = 20_000
"""Maximum number of sessions of an index that are counted, to find the index that lists the fewest. Counting this many
takes about a millisecond. Sorting them takes somewhat longer, if the index does not list them by their ordinals.
"""
_FIRST_WINDOW, _LAST_WINDOW = 256, 16_384
_LAST_CHUNK = 4096
_END = 2**62
_LONGEST = 10
"""A scan may take this many times its working time by the clock, as on a busy machine or with a slow disk."""

Row = tuple[int, str, int]
"""The ordinal, the id, and the start in milliseconds since 1970."""


class Window(Struct, frozen=True):
    """Sessions to examine: all from `low` to before `high`, or only some of them."""

    low: int
    high: int
    last: int | None
    """The ordinal of the last session in the order of the scan; None if no more follow."""
    ordinals: Sequence[int] | None = None


class Scan:
    """One scan, window by window. Never visits more than one window beyond what is wanted."""

    def __init__(self, connection: sqlite3.Connection, query: SessionQuery, *, whole: bool = False) -> None:
        """`whole`: ignore the cursor of the query."""
        self._connection = connection
        self._ascending = query.ascending
        self._order = "ASC" if query.ascending else "DESC"
        self._words = query.more.words
        self._conditions = conditions(query)
        self._low, self._high = self._bounds(query, whole=whole)
        self._source, self._is_sparse = self._fewest()

    def _bounds(self, query: SessionQuery, *, whole: bool) -> tuple[int, int]:
        """Return the range of ordinals to scan: inclusive start, exclusive end."""
        low = LEAST_ORDINAL if query.started_after is None else first_ordinal(to_millis(query.started_after) + 1)
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

    def _fewest(self) -> tuple[Candidates | None, bool]:
        """Return the index that lists the fewest sessions, and whether these are at most MANY.

        If all list more, return an index that lists them in order, if there is one.
        """
        sources = [each.source for each in self._conditions if each.source is not None]
        sources += [texts_with(word) for word in self._words]
        best, fewest = None, MANY + 1
        for source in sources:
            count = self._counted(source, fewest)
            if count < fewest:
                best, fewest = source, count
        ordered = next((source for source in sources if source.ordered), None)
        return (ordered, False) if best is None else (best, True)

    def _counted(self, source: Candidates, up_to: int) -> int:
        sql, values = f"SELECT 1 FROM {source.sql} LIMIT ?", (*source.values, up_to)
        if source.ordered:
            sql, values = source.chunk(self._low, self._high, up_to, self._order)
        return int(self._connection.execute(f"SELECT count(*) FROM ({sql})", values).fetchone()[0])

    def run(self, wanted: int, seconds: float, take: Callable[[list[Row]], object]) -> tuple[int, str] | None:
        """Call `take` with lists of matches until `wanted` are found, or the search has worked for this many seconds.

        Return where it stopped if time ran out: (start in milliseconds since 1970, id). The limit counts working time,
        so that the search finds as much on a busy machine as on an idle one.
        """
        worked, deadline = time.thread_time() + seconds, time.monotonic() + seconds * _LONGEST
        for window in self._windows():
            rows = self._matches(window, wanted)
            take(rows)
            wanted -= len(rows)
            if wanted <= 0 or window.last is None:
                return None
            if time.thread_time() > worked or time.monotonic() > deadline:
                return self._start_of(window.last)
        return None

    def _start_of(self, ordinal: int) -> tuple[int, str]:
        row = self._connection.execute("SELECT started, id FROM sessions WHERE ordinal = ?", (ordinal,)).fetchone()
        return (started_of(ordinal), "") if row is None else (int(row[0]), str(row[1]))

    # --- where to look -----------------------------------------------------------------------------------------------

    def _windows(self) -> Iterator[Window]:
        if self._source is None:
            return self._of_all()
        return self._of_ordered(self._source) if self._source.ordered else self._of_sorted(self._source)

    def _of_all(self) -> Iterator[Window]:
        low, high, width = self._low, self._high, _FIRST_WINDOW
        sql = "SELECT ordinal FROM sessions WHERE ordinal >= ? AND ordinal < ? ORDER BY ordinal {} LIMIT 1 OFFSET ?"
        while low < high:
            row = self._connection.execute(sql.format(self._order), (low, high, width - 1)).fetchone()
            if row is None:
                yield Window(low, high, None)
                return
            last = int(row[0])
            yield Window(low, last + 1, last) if self._ascending else Window(last, high, last)
            low, high = (last + 1, high) if self._ascending else (low, last)
            width = min(width * 4, _LAST_WINDOW)

    def _of_ordered(self, source: Candidates) -> Iterator[Window]:
        low, high, width = self._low, self._high, _FIRST_WINDOW
        while low < high:
            found = [row[0] for row in self._connection.execute(*source.chunk(low, high, width, self._order))]
            ordinals = list(dict.fromkeys(map(ordinal_of_text, found))) if source.texts else found
            if not ordinals:
                return
            yield self._listed(ordinals, is_last=len(found) < width)
            low, high = (ordinals[-1] + 1, high) if self._ascending else (low, ordinals[-1])
            width = min(width * 4, _LAST_CHUNK)

    def _of_sorted(self, source: Candidates) -> Iterator[Window]:
        rows = self._connection.execute(f"SELECT {source.column} FROM {source.sql}", source.values)
        within = {ordinal for (ordinal,) in rows if self._low <= ordinal < self._high}
        found = sorted(within, reverse=not self._ascending)
        for at in range(0, len(found), _LAST_CHUNK):
            yield self._listed(found[at : at + _LAST_CHUNK], is_last=at + _LAST_CHUNK >= len(found))

    def _listed(self, ordinals: Sequence[int], *, is_last: bool) -> Window:
        low, high = sorted((ordinals[0], ordinals[-1]))
        return Window(low, high + 1, None if is_last else ordinals[-1], ordinals)

    # --- who matches -------------------------------------------------------------------------------------------------

    def _matches(self, window: Window, limit: int) -> list[Row]:
        where, values = "ordinal >= ? AND ordinal < ?", (window.low, window.high)
        wanted = [*self._conditions, *self._spoken(window)]
        if window.ordinals is not None:
            wanted.append(Condition("ordinal IN (SELECT value FROM json_each(?))", (json.dumps(window.ordinals),)))
        sql = " AND ".join([where, *(each.sql for each in wanted)])
        # In the order of the table. Another index would need a sort.
        sql = f"SELECT ordinal, id, started FROM sessions NOT INDEXED WHERE {sql}"
        given = (*values, *(value for each in wanted for value in each.values), limit)
        return self._connection.execute(f"{sql} ORDER BY ordinal {self._order} LIMIT ?", given).fetchall()

    def _spoken(self, window: Window) -> list[Condition]:
        """Return the conditions for words: looked up for each of a few sessions, or once for a whole window."""
        if self._is_sparse:
            return [says(word) for word in self._words if texts_with(word) != self._source]
        return [says_between(word, window.low, window.high) for word in self._words]
