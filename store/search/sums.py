"""Sums over sessions by group, from the search index."""

from __future__ import annotations

import heapq
import math
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from msgspec import Struct

from turnwire.protocol.bodies import SessionGroup
from turnwire.protocol.times import to_millis
from turnwire.store.search.tables import first_ordinal

MAX_GROUPS = 200
"""Maximum number of groups in one answer, except for groups by day or hour."""

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
    """Compute the sums. Takes about 2 µs for each session."""
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
    """Sum rows by group. Groups of time are in order of time, others in order of their number of calls. Rows with an
    empty key belong to no group.

    Runs in a thread beside the event loop. So nothing here sorts or frees very many groups in one step of the
    interpreter, which would keep the loop waiting for as long: 0.4 s with 200,000 groups.
    """
    by_key: dict[Any, _Group] = {}
    for row in rows:
        key = row[0] or None
        group = by_key.get(key)
        if group is None:
            group = by_key[key] = _Group()
        group.add(row)
    total = _Group()
    for group in by_key.values():
        total.join(group)
    if group_by in ("day", "hour"):
        keys = sorted(by_key, key=lambda key: key or "")
    else:
        keys = heapq.nsmallest(MAX_GROUPS, by_key, key=lambda key: (-by_key[key].calls, key or ""))
    found = Sums([by_key[key].shown(key) for key in keys], total.shown(None), len(by_key) - len(keys))
    while by_key:
        by_key.popitem()
    return found


class _Group:
    """The sums of a group. A group may have a million sessions, and there may be as many groups. So there is one count
    for all sessions of the same percentile, and percentiles are computed only for groups that are shown."""

    __slots__ = ("calls", "errors", "failed", "interruptions", "missed", "p50", "p95", "talk", "tools_failed")

    def __init__(self) -> None:
        self.calls = self.failed = self.talk = self.missed = self.interruptions = self.tools_failed = self.errors = 0
        self.p50: dict[int, int] = {}
        self.p95: dict[int, int] = {}

    def add(self, row: Row) -> None:
        _, status, talk, p50, p95, missed, interruptions, tools_failed, errors = row
        self.calls += 1
        self.failed += status == "failed"
        if p50 is not None:
            self.p50[p50] = self.p50.get(p50, 0) + 1
        if p95 is not None:
            self.p95[p95] = self.p95.get(p95, 0) + 1
        self.talk += talk or 0
        self.missed += missed or 0
        self.interruptions += interruptions or 0
        self.tools_failed += tools_failed or 0
        self.errors += errors or 0

    def join(self, other: _Group) -> None:
        self.calls += other.calls
        self.failed += other.failed
        for mine, more in ((self.p50, other.p50), (self.p95, other.p95)):
            for value, count in more.items():
                mine[value] = mine.get(value, 0) + count
        self.talk += other.talk
        self.missed += other.missed
        self.interruptions += other.interruptions
        self.tools_failed += other.tools_failed
        self.errors += other.errors

    def shown(self, key: str | None) -> SessionGroup:
        return SessionGroup(
            key=key,
            calls=self.calls,
            failed=self.failed,
            talk_ms=self.talk,
            response_p50_ms=_percentile(self.p50, 0.5),
            response_p95_ms=_percentile(self.p95, 0.95),
            missed=self.missed,
            interruptions=self.interruptions,
            tools_failed=self.tools_failed,
            errors=self.errors,
        )


def _percentile(counts: dict[int, int], share: float) -> int | None:
    """Return the nearest-rank percentile of values that occur this often. Return None for no values."""
    left = max(1, math.ceil(share * sum(counts.values())))
    for value in sorted(counts):
        left -= counts[value]
        if left <= 0:
            return value
    return None
