"""Reading the search's projection in a thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from turnwire.gateway.finding.reader import SearchReader
from turnwire.store.search.finder import Finder

_ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + begun() FROM n) SELECT max(i) FROM n"


async def test_closing_ends_a_question_that_is_being_answered(tmp_path: Path) -> None:
    begun = threading.Event()

    def one() -> int:
        begun.set()
        return 1

    def ask(finder: Finder) -> object:
        finder.connection.create_function("begun", 0, one)
        return finder.connection.execute(_ENDLESS).fetchone()

    reader = SearchReader(tmp_path / "search.db", "search-test")
    await reader.open()
    asking = asyncio.create_task(reader.ask(ask))
    await asyncio.to_thread(begun.wait)
    async with asyncio.timeout(10):
        await reader.close()
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        await asking
