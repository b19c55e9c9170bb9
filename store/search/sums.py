"""Sums over sessions by group, from the projection."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from msgspec import Struct

from turnwire.protocol.bodies import SessionGroup
from turnwire.protocol.figures import percentile
from turnwire.protocol.times import to_millis
from turnwire.store.search.tables import first_ordinal

MAX_GROUPS = 200
"""The most groups of one answer, unless grouped by day or hour."""

Grouping = Literal["day", "hour", "language", "endReason", "metadata"]
Row = tuple[Any, ...]
"""(key, status, talk, p50, p95, missed, interruptions, tools_failed, errors)"""


class SumsQuery(Struct, frozen=True, kw_only=True):
    """A query for sums over the sessions that started between two times, both exclusive."""

    started_after: datetime
    started_before: datetime
    group_by: Grouping
    key: str = ""
    """The metadata key, if grouped by metadata."""


class Sums(Struct, frozen=True):
    """Sums by group and over all sessions. `left_off` counts the groups that are not listed."""

    groups: list[SessionGroup]
    total: SessionGroup
    left_off: int = 0


_KEYS = {
    "day": "strftime('%Y-%m-%d', started / 1000, 'unixepoch')",
    "hour": "strftime('%Y-%m-%dT%H:00:00.000Z', started / 1000, 'unixepoch')",
    "language": "language",
    "endReason": "end_reason",
    "metadata": "(SELECT value FROM metadata WHERE metadata.ordinal = sessions.ordinal AND key = ?)",
}


def sums(connection: sqlite3.Connection, query: SumsQuery) -> Sums:
    """Compute the sums, in about 2 µs for each session."""
    columns = "status, talk, p50, p95, missed, interruptions, tools_failed, errors"
    sql = f"SELECT {_KEYS[query.group_by]}, {columns} FROM sessions WHERE ordinal >= ? AND ordinal < ?"
    low = first_ordinal(to_millis(query.started_after) + 1)
    values: list[Any] = [query.key] if query.group_by == "metadata" else []
    rows = connection.execute(sql, [*values, low, first_ordinal(to_millis(query.started_before))])
    return summed(rows, query.group_by)


def key_of(query: SumsQuery, started_at: datetime, language: str, end_reason: str | None, value: str | None) -> Any:
    """Return the group key of one session. `value` is its metadata value."""
    moment = started_at.astimezone(UTC)
    keys = {
        "day": f"{moment:%Y-%m-%d}",
        "hour": f"{moment:%Y-%m-%dT%H}:00:00.000Z",
        "language": language,
        "endReason": end_reason,
        "metadata": value,
    }
    return keys[query.group_by]


def summed(rows: Iterable[Row], group_by: Grouping) -> Sums:
    """Sum up rows by group: groups of time in order of time, others by their number of calls. An empty key is none."""
    by_key: dict[Any, list[Row]] = defaultdict(list)
    everything = []
    for row in rows:
        by_key[row[0] or None].append(row)
        everything.append(row)
    groups = [_group(key, members) for key, members in by_key.items()]
    if group_by in ("day", "hour"):
        groups.sort(key=lambda group: group.key or "")
        most = len(groups)
    else:
        groups.sort(key=lambda group: (-group.calls, group.key or ""))
        most = MAX_GROUPS
    return Sums(groups[:most], _group(None, everything), max(0, len(groups) - most))


def _group(key: str | None, rows: list[Row]) -> SessionGroup:
    columns: Any = list(zip(*rows, strict=True)) or [()] * 9
    _, status, talk, p50, p95, missed, interruptions, tools_failed, errors = columns
    return SessionGroup(
        key=key,
        calls=len(rows),
        failed=status.count("failed"),
        talk_ms=_sum(talk),
        response_p50_ms=percentile(sorted(each for each in p50 if each is not None), 0.5),
        response_p95_ms=percentile(sorted(each for each in p95 if each is not None), 0.95),
        missed=_sum(missed),
        interruptions=_sum(interruptions),
        tools_failed=_sum(tools_failed),
        errors=_sum(errors),
    )


def _sum(values: Iterable[int | None]) -> int:
    return sum(value for value in values if value is not None)
