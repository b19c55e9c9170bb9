"""Conditions that sessions must meet to be found, as SQL: on their rows, and as indexes that list the sessions that
match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from turnwire.store.search.tables import ORDINAL_OF_TEXT, text_rowid, text_rowid_of
from turnwire.store.session_filter import SearchFilter
from turnwire.store.sessions import SessionQuery

_LAST = "\U0010ffff"
"""Sorts after all text."""
_MOST = 2**63 - 1


class Candidates(Struct, frozen=True):
    """All sessions that meet a condition, as an index lists them. Some may be listed twice."""

    sql: str
    """The text after FROM, up to conditions to which more can be added."""
    values: tuple[Any, ...]
    ordered: bool = False
    """Whether the index lists sessions by their ordinals, so that a page is read without the other matches."""
    texts: bool = False
    """Whether the index lists rowids of texts instead of ordinals."""

    @property
    def column(self) -> str:
        return "rowid" if self.texts else "ordinal"

    def edge(self, ordinal: int) -> int:
        """Return the least value of the column for sessions from this ordinal on."""
        return min(_MOST, text_rowid(ordinal, 0)) if self.texts else ordinal

    def chunk(self, low: int, high: int, count: int, order: str) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL and values that list `count` of the ordinals from `low` to before `high`, in this order."""
        name = self.column
        sql = f"SELECT {name} FROM {self.sql} AND {name} >= ? AND {name} < ? ORDER BY {name} {order} LIMIT ?"
        return sql, (*self.values, self.edge(low), self.edge(high), count)


class Condition(Struct, frozen=True):
    """A condition on a row of `sessions`, and the index that serves it, if there is one."""

    sql: str
    values: tuple[Any, ...] = ()
    source: Candidates | None = None


def _equal(index: str, column: str, value: Any) -> Condition:
    sql = f"{column} = ?"
    return Condition(sql, (value,), Candidates(f"sessions INDEXED BY {index} WHERE {sql}", (value,), ordered=True))


def _ranged(index: str, column: str, low: int | None, high: int | None = None) -> Condition:
    bounds = [(sign, bound) for sign, bound in ((">=", low), ("<=", high)) if bound is not None]
    sql, values = " AND ".join(f"{column} {sign} ?" for sign, _ in bounds), tuple(bound for _, bound in bounds)
    return Condition(sql, values, Candidates(f"sessions INDEXED BY {index} WHERE {sql}", values))


def _some(index: str, column: str, least: int) -> Condition:
    """Match sessions with at least this many, through an index of the sessions that have any."""
    return Condition(
        f"{column} >= ?", (least,), Candidates(f"sessions INDEXED BY {index} WHERE {column} > 0", (), True)
    )


def _prefixed(prefix: str) -> Condition:
    sql, values = "id >= ? AND id < ?", (prefix, prefix + _LAST)
    return Condition(sql, values, Candidates(f"sessions WHERE {sql}", values))


def _any_status(status: Sequence[str]) -> Condition:
    if len(status) == 1:
        return _equal("by_status", "status", status[0])
    sql = f"status IN ({', '.join('?' * len(status))})"
    return Condition(sql, tuple(status), Candidates(f"sessions INDEXED BY by_status WHERE {sql}", tuple(status)))


def _covered(patterns: Sequence[str]) -> Condition:
    """Match the sessions that one of the patterns covers, like `ids_like` in MongoDB."""
    exact = tuple(pattern for pattern in patterns if not pattern.endswith("*"))
    starts = [pattern[:-1] for pattern in patterns if pattern.endswith("*")]
    either = [f"id IN ({', '.join('?' * len(exact))})"] if exact or not starts else []
    either += ["id >= ? AND id < ?"] * len(starts)
    values = (*exact, *(edge for each in starts for edge in (each, each + _LAST)))
    listed = " UNION ALL ".join(f"SELECT ordinal FROM sessions WHERE {each}" for each in either)
    return Condition(f"({' OR '.join(either)})", values, Candidates(f"({listed}) WHERE 1", values))


def _described(key: str, value: str) -> Condition:
    sql = "EXISTS (SELECT 1 FROM metadata WHERE key = ? AND value = ? AND metadata.ordinal = sessions.ordinal)"
    return Condition(sql, (key, value), Candidates("metadata WHERE key = ? AND value = ?", (key, value), ordered=True))


_UNDESCRIBED = (
    "NOT EXISTS (SELECT 1 FROM metadata WHERE key = ? AND value <> '' AND metadata.ordinal = sessions.ordinal)"
)


def conditions(query: SessionQuery) -> list[Condition]:
    """Return the conditions on a session, other than its time and its words."""
    more: SearchFilter = query.more
    found: list[Condition] = [_described(key, value) for key, value in more.metadata if value]
    found += [Condition(_UNDESCRIBED, (key,)) for key, value in more.metadata if not value]
    if more.end_reason is not None:
        reason = more.end_reason
        found.append(_equal("by_end_reason", "end_reason", reason) if reason else Condition("end_reason IS NULL"))
    found += _figures(more)
    if query.status:
        found.append(_any_status(query.status))
    if query.language is not None:
        found.append(_equal("by_language", "language", query.language))
    if query.patterns is not None:
        found.append(_covered(query.patterns))
    if more.id_prefix is not None:
        found.append(_prefixed(more.id_prefix))
    return found


def _figures(more: SearchFilter) -> list[Condition]:
    """Return the bounds on durations and figures. Only ended sessions can meet them."""
    found = [Condition("ended IS NOT NULL")] if more.wants_end else []
    if more.has_errors is not None:
        found.append(_some("with_errors", "errors", 1) if more.has_errors else Condition("errors = 0"))
    if more.tools_failed is not None:
        least = more.tools_failed
        found.append(_some("with_failed_tools", "tools_failed", least) if least else Condition("tools_failed >= 0"))
    if more.min_interruptions is not None:
        least = more.min_interruptions
        # The bound comes first: SQLite begins to read an index at the first of several.
        among = Candidates(
            "sessions INDEXED BY by_interruptions WHERE interruptions >= ? AND interruptions > 0", (least,)
        )
        found.append(Condition("interruptions >= ?", (least,), among if least else None))
    if more.min_duration_ms is not None or more.max_duration_ms is not None:
        found.append(_ranged("by_duration", "duration", more.min_duration_ms, more.max_duration_ms))
    if more.min_response_p95_ms is not None:
        found.append(_ranged("by_p95", "p95", more.min_response_p95_ms))
    return found


def texts_with(word: str) -> Candidates:
    """Return the texts in which a word occurs."""
    return Candidates("said WHERE said MATCH ?", (f'"{word}"',), ordered=True, texts=True)


def says(word: str) -> Condition:
    """Return the condition for a word that searches the texts of one session after the other."""
    sql = "EXISTS (SELECT 1 FROM said WHERE said MATCH ? AND rowid >= {} AND rowid < {})"
    return Condition(sql.format(text_rowid_of("ordinal"), text_rowid_of("(ordinal + 1)")), (f'"{word}"',))


def says_between(word: str, low: int, high: int) -> Condition:
    """Return the condition for a word that searches all texts of the sessions from `low` to before `high` at once."""
    source = texts_with(word)
    sql = f"ordinal IN (SELECT {ORDINAL_OF_TEXT} FROM said WHERE said MATCH ? AND rowid >= ? AND rowid < ?)"
    return Condition(sql, (*source.values, source.edge(low), source.edge(high)))
