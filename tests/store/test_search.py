"""The search index: what it takes in, what it finds, and how it goes on after a gap."""

from __future__ import annotations

import sqlite3
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from turnwire.protocol.messages import Interruptions, SessionFigures
from turnwire.store.search import ordered_pages, scan
from turnwire.store.search.catalog import Catalog, Said, Unended
from turnwire.store.search.finder import Count, Finder
from turnwire.store.search.ordered_pages import ordered_page
from turnwire.store.search.tables import FILE_NAME, request_rebuild
from turnwire.store.session_filter import SearchFilter, words_of
from turnwire.store.sessions import SessionQuery, SessionRecord

NOW = datetime(2026, 6, 1, 12, 0, 0, 123000, UTC)


def figures(**given_: Any) -> SessionFigures:
    fields: dict[str, Any] = {
        "turns": 2,
        "response_p50_ms": 500,
        "response_p95_ms": 900,
        "missed": 0,
        "interruptions": Interruptions(given_.pop("interrupted", 0), 0),
        "tools_failed": 0,
        "errors": 0,
        "duration_ms": 1000,
        "talk_ms": 800,
        "last_line": None,
    }
    return SessionFigures(**(fields | given_))


def ended(session_id: str, minutes: float = 0, seconds: float = 60, **fields: Any) -> SessionRecord:
    """Return a session that started this many minutes before NOW and lasted this many seconds."""
    started = NOW - timedelta(minutes=minutes)
    end = started + timedelta(seconds=seconds)
    seen = figures(**{name: fields.pop(name) for name in ("errors", "tools_failed", "interrupted") if name in fields})
    seen.response_p95_ms = fields.pop("p95", 900)
    defaults: dict[str, Any] = {"status": "completed", "ended_at": end, "figures": seen, "language": "en"}
    return SessionRecord(session_id=session_id, started_at=started, **(defaults | fields))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path / FILE_NAME)
    yield catalog
    catalog.close()


@pytest.fixture
def finder(catalog: Catalog, tmp_path: Path) -> Iterator[Finder]:
    finder = Finder(tmp_path / FILE_NAME)
    yield finder
    finder.close()


def ids(finder: Finder, limit: int = 100, **fields: Any) -> list[str]:
    query = {name: fields.pop(name) for name in tuple(fields) if name in SessionQuery.__struct_fields__}
    found = finder.page(SessionQuery(limit=limit, more=SearchFilter(**fields), **query))
    assert found.stopped_at is None
    return found.ids


def test_every_filter_of_the_search_finds_its_sessions(catalog: Catalog, finder: Finder) -> None:
    catalog.take(
        [
            ended("plain", 5),
            ended("late", 1, end_reason="hangup", p95=3000),
            ended("long", 3, seconds=600, errors=2, status="failed"),
            ended("call-7", 4, tools_failed=2, interrupted=3, metadata={"customerId": "c1", "n": 7, "vip": True}),
            SessionRecord("live", "de", NOW, status="active", metadata={"customerId": "c1"}),
        ],
        [],
    )
    assert ids(finder) == ["live", "late", "long", "call-7", "plain"]
    assert ids(finder, ascending=True) == ["plain", "call-7", "long", "late", "live"]
    for fields, expected in (
        ({"end_reason": "hangup"}, ["late"]),
        ({"min_response_p95_ms": 3000}, ["late"]),
        ({"min_response_p95_ms": 3001}, []),
        ({"id_prefix": "l"}, ["live", "late", "long"]),
        ({"id_prefix": "call-"}, ["call-7"]),
        ({"min_duration_ms": 600_000}, ["long"]),
        ({"max_duration_ms": 60_000}, ["late", "call-7", "plain"]),
        ({"has_errors": True}, ["long"]),
        ({"has_errors": False}, ["late", "call-7", "plain"]),
        ({"tools_failed": 1}, ["call-7"]),
        ({"tools_failed": 3}, []),
        ({"tools_failed": 0}, ["late", "long", "call-7", "plain"]),
        ({"min_interruptions": 3}, ["call-7"]),
        ({"metadata": (("customerId", "c1"),)}, ["live", "call-7"]),
        ({"metadata": (("customerId", "c1"), ("n", "7"), ("vip", "true"))}, ["call-7"]),
        ({"status": ("failed",)}, ["long"]),
        ({"language": "de"}, ["live"]),
        ({"started_after": NOW - timedelta(minutes=3)}, ["live", "late"]),
        ({"started_before": NOW - timedelta(minutes=3)}, ["call-7", "plain"]),
    ):
        assert ids(finder, **fields) == expected, fields


def test_words_are_found_in_ids_metadata_and_speech(catalog: Catalog, finder: Finder) -> None:
    records = [ended("call_7-x", 2, metadata={"who": {"name": "Zoë O'Neil"}}), ended("other", 1)]
    said = [Said("call_7-x", 1, 3, "I would like Breakfast."), Said("call_7-x", 4, 4, "Tomorrow, at eight")]
    assert catalog.take(records, said) == []
    for q in ("breakfast", "BREAKFAST tomorrow", "zoe", "o'neil", "7 x call", "breakfast zoë"):
        assert ids(finder, words=tuple(words_of(q))) == ["call_7-x"], q
    assert ids(finder, words=("breakfast", "other")) == []
    assert ids(finder, words=("break",)) == []


def test_changed_metadata_is_found_by_its_new_values(catalog: Catalog, finder: Finder) -> None:
    catalog.take([ended("s", metadata={"who": "Ada"})], [Said("s", 1, 1, "hello")])
    catalog.take([ended("s", metadata={"who": "Grace"})], [])
    assert ids(finder, words=("ada",)) == []
    assert ids(finder, words=("grace", "hello")) == ["s"]
    assert ids(finder, metadata=(("who", "Ada"),)) == []


def test_texts_behind_a_gap_in_the_seqs_are_left_for_reading_the_log(catalog: Catalog, finder: Finder) -> None:
    record = SessionRecord("s", "en", NOW)
    assert catalog.take([record], [Said("s", 1, 2, "one"), Said("s", 5, 6, "five"), Said("none", 1, 1, "x")]) == [
        "s",
        "none",
    ]
    assert ids(finder, words=("five",)) == []
    assert catalog.indexed("s") == 2
    assert catalog.unended() == [Unended("s", 2)]
    assert catalog.take([], [Said("s", 3, 6, "five"), Said("s", 3, 6, "five")]) == []
    assert ids(finder, words=("five",)) == ["s"]


def test_the_writer_of_many_texts_rests_between_them(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr(time, "sleep", rests.append)
    catalog.take([ended("a")], [Said("a", seq, seq, "word") for seq in range(1, 351)])
    assert (len(rests), catalog.indexed("a")) == (3, 350)


def test_nobody_but_its_owner_can_read_the_search_index(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.touch(0o644)  # as older versions left it
    catalog = Catalog(path)
    catalog.take([ended("s")], [Said("s", 1, 1, "hello")])
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert modes == {FILE_NAME: 0o600, f"{FILE_NAME}-wal": 0o600, f"{FILE_NAME}-shm": 0o600}
    catalog.close()


def test_tables_of_the_version_before_are_upgraded_without_being_filled_again(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    catalog = Catalog(path)
    catalog.take([ended("s", errors=1)], [Said("s", 1, 1, "hello")])
    catalog.close()
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            DROP INDEX with_errors; DROP INDEX with_failed_tools;
            CREATE INDEX by_tools_failed ON sessions (tools_failed) WHERE tools_failed > 0;
            CREATE INDEX by_errors ON sessions (errors) WHERE errors > 0;
            PRAGMA user_version = 2;
        """)
    connection.close()
    finder = Finder(path)
    assert ids(finder, has_errors=True) == ids(finder, words=("hello",)) == ["s"]
    finder.close()


def test_a_deleted_session_is_not_found(catalog: Catalog, finder: Finder) -> None:
    catalog.take([ended("s", metadata={"a": "b"})], [Said("s", 1, 1, "hello")])
    catalog.remove(["s", "never"])
    assert ids(finder) == ids(finder, words=("hello",)) == ids(finder, metadata=(("a", "b"),)) == []


def test_the_search_index_can_be_cleared_and_its_rebuild_requested(
    catalog: Catalog, finder: Finder, tmp_path: Path
) -> None:
    catalog.take([ended("s")], [Said("s", 1, 1, "hello")])
    catalog.note_complete()
    assert (catalog.complete(), catalog.rebuild_wanted(), catalog.newest_started()) == (True, False, 1780315200123)
    request_rebuild(tmp_path / FILE_NAME)
    assert catalog.rebuild_wanted()
    catalog.clear()
    assert (catalog.complete(), catalog.rebuild_wanted(), catalog.newest_started()) == (False, False, None)
    assert ids(finder, words=("hello",)) == []


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 7), st.booleans(), st.booleans())
def test_pages_of_the_search_join_without_a_hole(
    tmp_path_factory: pytest.TempPathFactory,
    moments: list[int],
    limit: int,
    ascending: bool,
    narrowed: bool,
) -> None:
    path = tmp_path_factory.mktemp("search") / FILE_NAME
    catalog, finder = Catalog(path), Finder(path)
    records = {f"s{n}": ended(f"s{n}", minutes=moment, errors=n % 2) for n, moment in enumerate(moments)}
    catalog.take(records.values(), [])
    more = SearchFilter(has_errors=True) if narrowed else SearchFilter()
    found: list[str] = []
    before = None
    while True:
        page = finder.page(SessionQuery(limit=limit, ascending=ascending, before=before, more=more)).ids
        found += page
        if len(page) < limit:
            break
        before = records[page[-1]].started_at, page[-1]
    assert sorted(found) == sorted(name for name, each in records.items() if not narrowed or each.figures.errors)  # type: ignore[union-attr]
    starts = [records[name].started_at for name in found]
    assert starts == sorted(starts, reverse=not ascending)
    assert finder.count(SessionQuery(limit=1, before=before, more=more), 100) == Count(len(found), exact=True)
    catalog.close()
    finder.close()


def test_a_search_finds_and_counts_as_much_on_a_busy_machine_as_on_an_idle_one(
    catalog: Catalog, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that has to wait for a processor has not worked yet. Only so much later, it stops all the same."""
    monkeypatch.setattr(scan, "_FIRST_WINDOW", 10)
    monkeypatch.setattr(scan, "_LAST_WINDOW", 10)
    catalog.take([ended(f"s{n}", minutes=n, errors=int(n < 199)) for n in range(200)], [])
    query = SessionQuery(limit=1, more=SearchFilter(has_errors=False))
    for waits, found in ((0.1, 1), (1.0, 0)):
        clock = SimpleNamespace(thread_time=lambda: 0.0, monotonic=partial(next, count(0, waits)))
        monkeypatch.setattr(scan, "time", clock)
        assert len(finder.page(query, seconds=0.5).ids) == found
        assert finder.count(query, 10, seconds=0.5) == Count(found, exact=bool(found))


def test_a_search_that_runs_out_of_time_says_how_far_it_looked_and_continues(
    catalog: Catalog, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "MANY", 0)
    monkeypatch.setattr(scan, "_FIRST_WINDOW", 10)
    monkeypatch.setattr(scan, "_LAST_WINDOW", 10)
    records = [ended(f"s{n}", minutes=n, p95=9000 if n == 55 else 900) for n in range(100)]
    catalog.take(records, [])
    slow = SearchFilter(min_response_p95_ms=9000)
    query = SessionQuery(limit=5, more=slow)
    found, steps = finder.page(query, seconds=0), 0
    while not found.ids:
        assert found.stopped_at is not None
        started, session_id = found.stopped_at
        before = datetime.fromtimestamp(started / 1000, UTC), session_id
        query = SessionQuery(limit=5, before=before, more=slow)
        found, steps = finder.page(query, seconds=0), steps + 1
    assert (found.ids, steps) == (["s55"], 5)
    assert finder.count(query, 10, seconds=0) == Count(0, exact=False)
    assert finder.count(SessionQuery(limit=1), 30) == Count(30, exact=False)


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("together", [1, 3, 70, 311])
def test_an_ordered_page_is_the_one_of_the_database(
    catalog: Catalog, finder: Finder, together: int, ascending: bool
) -> None:
    """Whatever the order in which sessions of one millisecond became known, and also if the cursor's is gone."""
    ids = [f"s{(7 * number) % 311:03}" for number in range(311)]
    records = [ended(each, minutes=number // together) for number, each in enumerate(ids)]
    catalog.take(records, [])
    wanted = [each.session_id for each in sorted(records, key=lambda each: (each.started_at, each.session_id))]
    by_id = {each.session_id: each for each in records}
    found: list[str] = []
    query = SessionQuery(limit=50, ascending=ascending)
    while (page := ordered_page(finder.connection, query)) is not None and page:
        found += page
        query = replace(query, before=(by_id[page[-1]].started_at, page[-1]))
        catalog.remove(page[-1:])
    assert page is not None
    assert found == (wanted if ascending else wanted[::-1])


def test_an_ordered_page_keeps_to_the_filter_and_the_bounds(catalog: Catalog, finder: Finder) -> None:
    catalog.take(
        [ended(f"s{number}", minutes=number, language="en" if number % 2 else "de") for number in range(8)], []
    )
    after, before = NOW - timedelta(minutes=6), NOW - timedelta(minutes=1)
    query = SessionQuery(limit=9, language="de", started_after=after, started_before=before)
    assert ordered_page(finder.connection, query) == ["s2", "s4"]
    assert ordered_page(finder.connection, replace(query, ascending=True)) == ["s4", "s2"]
    assert ordered_page(finder.connection, replace(query, before=(NOW - timedelta(minutes=2), "s2"))) == ["s4"]


def test_no_page_is_returned_if_its_order_is_unknown(
    catalog: Catalog, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.take([ended(f"s{number}") for number in range(9)], [])
    monkeypatch.setattr(ordered_pages, "_TIES", 1)
    monkeypatch.setattr(ordered_pages, "_MOST_ROWS", 8)
    assert ordered_page(finder.connection, SessionQuery(limit=3)) is None


@pytest.mark.parametrize("ascending", [False, True])
def test_no_page_is_returned_of_sessions_from_before_the_first_ordinal(
    catalog: Catalog, finder: Finder, ascending: bool
) -> None:
    early = datetime(1949, 5, 1, tzinfo=UTC)
    catalog.take([ended("new"), SessionRecord("old", "en", early), SessionRecord("older", "en", early)], [])
    query = SessionQuery(limit=3, ascending=ascending)
    assert ordered_page(finder.connection, query) is None
    assert ordered_page(finder.connection, replace(query, before=(early, "old"))) is None
