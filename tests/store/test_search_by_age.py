"""Sessions of any age in the search index: calls that were moved in began long before there was a gateway."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from turnwire.store.search.catalog import Catalog, Said
from turnwire.store.search.finder import Count, Finder
from turnwire.store.search.ordered_pages import ordered_page
from turnwire.store.search.sums import SumsQuery, sums
from turnwire.store.search.tables import FILE_NAME
from turnwire.store.session_filter import SearchFilter
from turnwire.store.sessions import SessionQuery, SessionRecord

YEARS = [2016, 1951, 2088, 2019, 1969, 2021]


def begun_in(year: int) -> SessionRecord:
    return SessionRecord(f"s{year}", "en", datetime(year, 5, 1, tzinfo=UTC))


@pytest.mark.parametrize("ascending", [False, True])
def test_sessions_of_any_age_are_found_in_their_order_and_within_bounds(tmp_path: Path, ascending: bool) -> None:
    catalog, finder = Catalog(tmp_path / FILE_NAME), Finder(tmp_path / FILE_NAME)
    catalog.take(map(begun_in, YEARS), [Said(f"s{year}", 1, 1, "hello") for year in YEARS])
    inside = [f"s{year}" for year in sorted(YEARS)[1:5]]
    after, before = (datetime(year, 1, 1, tzinfo=UTC) for year in (1960, 2022))
    query = SessionQuery(limit=9, ascending=ascending, started_after=after, started_before=before)
    expected = inside if ascending else inside[::-1]
    assert ordered_page(finder.connection, query) == expected
    for more in (SearchFilter(words=("hello",)), SearchFilter(id_prefix="s")):
        assert finder.page(replace(query, more=more)).ids == expected
        assert finder.count(replace(query, more=more), 9) == Count(4, exact=True)
    found = sums(finder.connection, SumsQuery(started_after=after, started_before=before, group_by="day"))
    assert found.total.calls == 4
    finder.close()
    catalog.close()


@pytest.mark.parametrize(("year", "is_kept"), [(2019, False), (2021, True)])
def test_tables_of_version_3_are_filled_again_if_they_have_sessions_from_before_2020(
    tmp_path: Path, year: int, is_kept: bool
) -> None:
    catalog = Catalog(tmp_path / FILE_NAME)
    catalog.take([begun_in(year)], [])
    catalog.note_complete()
    catalog.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    catalog = Catalog(tmp_path / FILE_NAME)
    assert (catalog.complete(), catalog.indexed(f"s{year}") is not None) == (is_kept, is_kept)
    catalog.close()
