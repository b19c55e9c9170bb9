"""A page of the oldest sessions costs about as much as one of the newest, also where the database reads every match."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.faults import collection
from tests.support.faults.database import Document, MemoryDatabase, matching
from tests.support.faults.line import Line
from turnwire.store.mongo import Store
from turnwire.store.session_record import SessionRecord, document_of
from turnwire.store.sessions import SessionQuery

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
COUNT = 2000


def steady() -> list[datetime]:
    """As many each hour, for 50 days."""
    return [NOW - 50 * DAY * at / COUNT for at in range(COUNT)]


def by_day() -> list[datetime]:
    """At random in one half of each of 40 days."""
    chance = random.Random(1)
    return [NOW - chance.randrange(40) * DAY - DAY * chance.random() / 2 for _ in range(COUNT)]


def few_long_ago() -> list[datetime]:
    return [NOW - 3000 * DAY, NOW - 400 * DAY, *steady()]


def few() -> list[datetime]:
    return [NOW - DAY, NOW - 900 * DAY]


class Reads:
    """How many documents were read, and by how many queries."""

    def __init__(self) -> None:
        self.queries = self.documents = 0

    def matching(self, documents: dict[str, Document], condition: Document) -> list[Any]:
        found = matching(documents, condition)
        self.queries += 1
        self.documents += len(found)
        return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    reads = Reads()
    monkeypatch.setattr(collection, "matching", reads.matching)
    return reads


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase(random.Random(1))


async def page_of(database: MemoryDatabase, query: SessionQuery) -> list[str]:
    store = Store(Line(database, 0.0), "model")
    try:
        return [each.session_id for each in await store.sessions.page(query)]
    finally:
        await store.close()


def put(database: MemoryDatabase, starts: list[datetime]) -> list[str]:
    """Store sessions, and return their ids in the order of lists, oldest first."""
    documents = [document_of(SessionRecord(f"s{at:04}", "en", each)) for at, each in enumerate(starts)]
    database.majority["sessions"] = {each["_id"]: each for each in documents}
    return [each["_id"] for each in sorted(documents, key=lambda each: (each["startedAt"], each["_id"]))]


@pytest.mark.parametrize("starts", [steady, by_day, few_long_ago, few, list])
async def test_the_oldest_are_found_without_reading_the_others(
    database: MemoryDatabase, reads: Reads, starts: Callable[[], list[datetime]]
) -> None:
    in_order = put(database, starts())
    query = SessionQuery(limit=20, ascending=True)
    assert await page_of(database, query) == in_order[:20]
    assert reads.queries < 250
    assert reads.documents < max(COUNT / 2, 2)
