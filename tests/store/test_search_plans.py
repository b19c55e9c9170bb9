"""How the search index is read: whatever is asked for, no statement visits sessions that an index would spare it.

The plans are those of the statements that run. Time is not measured.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from turnwire.protocol.messages import Interruptions, SessionFigures
from turnwire.store.search import scan
from turnwire.store.search.catalog import Catalog, Said
from turnwire.store.search.finder import Finder
from turnwire.store.search.sums import Grouping, SumsQuery, sums
from turnwire.store.search.tables import FILE_NAME
from turnwire.store.session_filter import SearchFilter
from turnwire.store.sessions import SessionQuery, SessionRecord

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
SESSIONS = 60
NONE: dict[str, Any] = {}
"""No filter: all sessions, in their order."""
FILTERS: list[dict[str, Any]] = [
    {"status": ("failed",)},
    {"status": ("initiated", "active")},
    {"language": "de"},
    {"patterns": ("s1*", "s23")},
    {"patterns": ("s23",)},
    {"end_reason": "hangup"},
    {"id_prefix": "s1"},
    {"metadata": (("bot", "ann"),)},
    {"metadata": (("bot", "ann"), ("customerId", "c3"))},
    {"min_duration_ms": 5000},
    {"min_duration_ms": 1000, "max_duration_ms": 5000},
    {"has_errors": True},
    {"tools_failed": 1},
    {"min_response_p95_ms": 30},
    {"min_interruptions": 1},
    {"words": ("hello",)},
    {"words": ("hello", "seven")},
    {"words": ("ann",), "end_reason": "hangup", "language": "de"},
]
BROAD: list[dict[str, Any]] = [{"has_errors": False}, {"metadata": (("bot", ""),)}, {"end_reason": ""}]
"""Most sessions meet these."""


def record(number: int) -> SessionRecord:
    started = NOW - timedelta(minutes=SESSIONS - number)
    figures = SessionFigures(
        turns=2,
        response_p50_ms=number,
        response_p95_ms=number,
        missed=0,
        interruptions=Interruptions(number % 2, 0),
        tools_failed=int(number % 7 == 0),
        errors=int(number % 11 == 0),
        duration_ms=number * 1000,
        talk_ms=500,
        last_line=None,
    )
    return SessionRecord(
        f"s{number}",
        "de" if number % 3 else "en",
        started,
        status="failed" if number % 4 else "completed",
        ended_at=started + timedelta(seconds=number),
        end_reason="hangup" if number % 2 else None,
        metadata={"bot": "ann" if number % 5 else "bob", "customerId": f"c{number // 8}"},
        figures=figures,
    )


@contextmanager
def finder_of(folder: Path, records: list[SessionRecord], texts: list[str]) -> Iterator[Finder]:
    """Reads of an index with these sessions, of which the first ones have these texts."""
    catalog, finder = Catalog(folder / FILE_NAME), Finder(folder / FILE_NAME)
    catalog.take(records, [Said(each.session_id, 1, 1, text) for each, text in zip(records, texts, strict=False)])
    yield finder
    catalog.close()
    finder.close()


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finder]:
    texts = ["hello seven" if number % 7 else "hello" for number in range(SESSIONS)]
    with finder_of(tmp_path_factory.mktemp("search"), list(map(record, range(SESSIONS))), texts) as finder:
        yield finder


@pytest.fixture(scope="module")
def full_of_others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finder]:
    """The same sessions, and 500 newer ones that differ from them in everything."""
    new = [SessionRecord(f"n{number}", "fr", NOW + timedelta(minutes=number), "completed") for number in range(500)]
    records = [*map(record, range(SESSIONS)), *new]
    with finder_of(tmp_path_factory.mktemp("others"), records, ["hello seven"] * SESSIONS) as finder:
        yield finder


@pytest.fixture(scope="module")
def full_of_likes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finder]:
    """A thousand sessions with the same figures."""
    starts = [NOW + timedelta(seconds=number) for number in range(1000)]
    second, like = timedelta(seconds=1), record(1)
    records = [replace(like, session_id=f"s{at.timestamp()}", started_at=at, ended_at=at + second) for at in starts]
    with finder_of(tmp_path_factory.mktemp("likes"), records, []) as finder:
        yield finder


def query(limit: int = 10, **fields: Any) -> SessionQuery:
    given = {name: fields.pop(name) for name in tuple(fields) if name in SessionQuery.__struct_fields__}
    return SessionQuery(limit=limit, more=SearchFilter(**fields), **given)


def plans(connection: sqlite3.Connection, statements: list[str]) -> list[str]:
    """Return the steps of the plans of these statements, without what the index of words does in its own tables."""
    found = [row[3] for each in statements for row in connection.execute(f"EXPLAIN QUERY PLAN {each}")]
    inside = "VIRTUAL TABLE", "main.said_", "SCAN (subquery-"
    return [step for step in found if not any(each in step for each in inside)]


def run(finder: Finder, asked: SessionQuery) -> tuple[list[str], list[str]]:
    """Return what was found, and the statements that found it."""
    statements: list[str] = []
    finder.connection.set_trace_callback(statements.append)
    found = finder.page(asked, seconds=60)  # a collection of garbage may take the usual time
    finder.connection.set_trace_callback(None)
    return found.ids, [each for each in statements if not each.startswith("--")]


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("many", [20_000, 3, 0])
@pytest.mark.parametrize("fields", [NONE, *FILTERS, *BROAD], ids=str)
def test_no_filter_of_a_list_reads_a_whole_table_or_sorts_one(
    finder: Finder, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], many: int, ascending: bool
) -> None:
    monkeypatch.setattr(scan, "MANY", many)
    _, statements = run(finder, query(ascending=ascending, **fields))
    steps = plans(finder.connection, statements)
    assert steps
    assert [step for step in steps if step.startswith("SCAN") or "TEMP B-TREE" in step] == []


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("fields", [NONE, *FILTERS, *BROAD], ids=str)
def test_whichever_index_is_read_the_same_sessions_are_found(
    finder: Finder, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], ascending: bool
) -> None:
    asked = query(limit=100, ascending=ascending, **fields)
    silent = query(**{name: value for name, value in fields.items() if name != "words"})
    wanted = [each for each in map(record, range(SESSIONS)) if silent.takes(each) and says(each, asked.more.words)]
    ids = [each.session_id for each in wanted]
    for many, window in ((20_000, 256), (20_000, 2), (3, 2), (0, 2)):
        monkeypatch.setattr(scan, "MANY", many)
        monkeypatch.setattr(scan, "_FIRST_WINDOW", window)
        assert run(finder, asked)[0] == (ids if ascending else ids[::-1]), (many, window)


def says(each: SessionRecord, words: tuple[str, ...]) -> bool:
    return {"hello", str(each.metadata["bot"]), *(["seven"] if int(each.session_id[1:]) % 7 else [])} >= set(words)


@pytest.mark.parametrize("fields", [each for each in FILTERS if "patterns" not in each], ids=str)
def test_a_filter_that_few_sessions_meet_visits_these_alone_however_old_they_are(
    full_of_others: Finder, fields: dict[str, Any]
) -> None:
    """The newest sessions do not meet it, and are not looked at one by one."""
    _, statements = run(full_of_others, query(**fields))
    windows = [each for each in statements if each.startswith("SELECT ordinal, id, started")]
    assert len(windows) <= 1
    assert all("json_each" in each for each in windows)


@pytest.mark.parametrize(
    "fields",
    [{"min_interruptions": 2}, {"min_response_p95_ms": 1000}, {"min_duration_ms": 10**6}, {"max_duration_ms": 0}],
    ids=str,
)
def test_an_index_of_numbers_is_read_from_the_bound_on(full_of_likes: Finder, fields: dict[str, Any]) -> None:
    steps: list[int] = []
    full_of_likes.connection.set_progress_handler(lambda: steps.append(1), 1)  # after each step of SQLite's machine
    found = full_of_likes.page(query(**fields))
    full_of_likes.connection.set_progress_handler(None, 1)
    assert found.ids == []
    assert len(steps) < 500


def test_sums_read_only_the_sessions_between_their_times(finder: Finder) -> None:
    statements: list[str] = []
    finder.connection.set_trace_callback(statements.append)
    groupings: list[Grouping] = ["day", "language", "metadata"]
    for group_by in groupings:
        sums(finder.connection, SumsQuery(started_after=NOW, started_before=NOW, group_by=group_by, key="bot"))
    finder.connection.set_trace_callback(None)
    steps = plans(finder.connection, statements)
    assert steps.count("SEARCH sessions USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)") == 3
    assert [step for step in steps if step.startswith("SCAN") or "TEMP B-TREE" in step] == []
