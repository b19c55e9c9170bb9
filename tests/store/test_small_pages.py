"""Any page costs about as much as one of the newest sessions, also where the database reads every match."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.faults import collection
from tests.support.faults.database import Document, MemoryDatabase, matching
from tests.support.faults.line import Line
from turnwire.protocol.messages import SessionStatus
from turnwire.store.mongo import Store
from turnwire.store.session_record import SessionRecord, document_of
from turnwire.store.sessions import SessionQuery

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
COUNT = 1000


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
        self.after_query: Callable[[], object] = lambda: None

    def matching(self, documents: dict[str, Document], condition: Document) -> list[Any]:
        found = matching(documents, condition)
        self.queries += 1
        many = "status" in condition and isinstance(condition["status"], dict)  # for that it reads every session
        self.documents += len(documents) if many else len(found)
        self.after_query()
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


def put(
    database: MemoryDatabase, starts: list[datetime], status: Callable[[int], SessionStatus] = lambda _: "initiated"
) -> list[str]:
    """Store sessions, and return their ids in the order of lists, oldest first."""
    documents = [
        document_of(SessionRecord(f"s{at:04}", "en", each, status=status(at))) for at, each in enumerate(starts)
    ]
    database.majority["sessions"] = {each["_id"]: each for each in documents}
    return [each["_id"] for each in sorted(documents, key=lambda each: (each["startedAt"], each["_id"]))]


@pytest.mark.slow
@pytest.mark.parametrize("starts", [steady, by_day, few_long_ago, few, list])
async def test_the_oldest_are_found_without_reading_the_others(
    database: MemoryDatabase, reads: Reads, starts: Callable[[], list[datetime]]
) -> None:
    in_order = put(database, starts())
    query = SessionQuery(limit=20, ascending=True)
    assert await page_of(database, query) == in_order[:20]
    assert reads.queries < 250
    assert reads.documents < max(COUNT / 2, 2)


def any_status(at: int) -> SessionStatus:
    """Few have failed."""
    statuses: tuple[SessionStatus, ...] = ("active", "completed", "initiated", "completed")
    return statuses[at % 4] if at % 500 else "failed"


@pytest.mark.slow
@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("statuses", [("active", "completed"), ("failed", "initiated", "active")])
async def test_pages_of_several_statuses_are_found_without_reading_the_others(
    database: MemoryDatabase, reads: Reads, statuses: tuple[SessionStatus, ...], *, ascending: bool
) -> None:
    in_order = put(database, by_day(), any_status)
    stored = database.majority["sessions"]
    wanted = [each for each in in_order if stored[each]["status"] in statuses]
    walked = list[str]()
    query = SessionQuery(limit=20, status=statuses, ascending=ascending)
    for _ in range(3):
        page = await page_of(database, query)
        walked += page
        query = replace(query, before=(stored[page[-1]]["startedAt"], page[-1]))
    assert walked == (wanted if ascending else wanted[::-1])[:60]
    assert reads.documents < COUNT


async def test_a_session_whose_status_changes_while_its_page_is_read_is_listed_once(
    database: MemoryDatabase, reads: Reads
) -> None:
    in_order = put(database, steady(), any_status)
    stored = database.majority["sessions"]
    newest = next(each for each in reversed(in_order) if stored[each]["status"] == "active")
    reads.after_query = lambda: stored[newest].update(status="completed")
    page = await page_of(database, SessionQuery(limit=20, status=("completed", "active")))
    assert (page.count(newest), len(set(page))) == (1, 20)
