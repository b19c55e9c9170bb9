"""Pages of all sessions in the order of the database. Everything here blocks, and raises sqlite3.Error."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from turnwire.protocol.times import from_millis, to_millis
from turnwire.store.search.scan import Row, Scan
from turnwire.store.search.tables import LEAST_ORDINAL, first_ordinal
from turnwire.store.sessions import SessionQuery

ORDERED_SECONDS = 0.5
"""The longest search for a page that must be complete, in seconds of work. The database would need longer."""
_TIES, _MORE_ROWS, _MOST_ROWS = 64, 4, 4096
"""Rows read beyond a page, for sessions that started in the same millisecond: at first, their growth, and the most."""
_SPILL = 16
"""Milliseconds. If many sessions start together, some get ordinals of sessions that start up to this much later."""
_MILLISECOND = timedelta(milliseconds=1)


def ordered_page(connection: sqlite3.Connection, query: SessionQuery) -> list[str] | None:
    """Return the ids of a page in the order of the database: by (startedAt, sessionId).

    None if the order is not known, because too many sessions have started in the same millisecond, or finding it takes
    too long.
    """
    count = query.limit + _TIES
    while count <= _MOST_ROWS:
        rows: list[Row] = []
        widened = _widened(query)
        if widened.started_before is not None and _is_too_early(to_millis(widened.started_before)):
            return None
        search = Scan(connection, widened)
        if search.run(count, ORDERED_SECONDS, rows.extend) is not None or _has_spilled(rows):
            return None
        page = _ordered(rows, query)[: query.limit]
        if len(rows) < count or (len(page) == query.limit and _has_all_of(page[-1][0], rows[-1][0], query)):
            return [session_id for _, session_id in page]
        count *= _MORE_ROWS
    return None


def _widened(query: SessionQuery) -> SessionQuery:
    """Return the query without its cursor, and with wider bounds that include all sessions after the cursor."""
    after, before = query.started_after, query.started_before
    if query.before is not None and query.ascending:
        edge = query.before[0] - _MILLISECOND
        after = edge if after is None else max(edge, after)
    elif query.before is not None:
        edge = query.before[0] + _MILLISECOND
        before = edge if before is None else min(edge, before)
    return replace(
        query,
        before=None,
        started_after=after,
        started_before=None if before is None else before + _SPILL * _MILLISECOND,
    )


def _ordered(rows: Sequence[Row], query: SessionQuery) -> list[tuple[int, str]]:
    """Return the (start in milliseconds, id) of the rows that match the query, in the order of the database."""
    found = [(started, session_id) for _, session_id, started in rows if query.spans(from_millis(started))]
    if query.before is not None:
        place = to_millis(query.before[0]), query.before[1]
        found = [each for each in found if (each > place if query.ascending else each < place)]
    return sorted(found, reverse=not query.ascending)


def _is_too_early(started: int) -> bool:
    return first_ordinal(started) == LEAST_ORDINAL


def _has_spilled(rows: Sequence[Row]) -> bool:
    """Return whether so many sessions started in one millisecond that their ordinals reach those of much later ones.

    Sessions from before the time at which ordinals begin have.
    """
    return any(ordinal >= first_ordinal(started + _SPILL // 2) for ordinal, _, started in rows)


def _has_all_of(started: int, last: int, query: SessionQuery) -> bool:
    """Return whether no session of this millisecond has an ordinal beyond the last one that was read."""
    return first_ordinal(started + _SPILL) <= last if query.ascending else last <= first_ordinal(started)
