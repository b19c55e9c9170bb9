"""The search of a gateway that shares its database: what it finds of sessions that other gateways have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.faults.line import Line
from tests.support.in_memory import STARTED, MemoryGateway, event, memory_database, set_wall_clock
from turnwire.gateway.finding import others
from turnwire.gateway.finding import search as searching
from turnwire.gateway.finding.search import Search
from turnwire.store.mongo import Store
from turnwire.store.search.tables import FILE_NAME
from turnwire.store.session_filter import SearchFilter, words_of
from turnwire.store.sessions import SessionQuery

SETTLING = 30.0


class Clock:
    """The wall clock of all gateways."""

    def __init__(self) -> None:
        self.now = STARTED

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    set_wall_clock(monkeypatch, clock)
    monkeypatch.setattr(others, "utc_now", clock)
    monkeypatch.setattr(searching, "LOOK_SECONDS", 0.001)
    return clock


@pytest.fixture
async def there(clock: Clock) -> AsyncIterator[MemoryGateway]:
    """Another gateway, without a search."""
    gateway = MemoryGateway(memory_database())
    yield gateway
    await gateway.stop()


@asynccontextmanager
async def searching_of(there: MemoryGateway, folder: Path) -> AsyncIterator[Search]:
    """The search of a gateway beside that one, which runs and knows all sessions that there were."""
    store, prepared = Store(Line(there.database, 0.0), "model"), asyncio.Event()
    search = Search(store, folder / FILE_NAME, shared=True, settling=SETTLING)
    prepared.set()
    running = asyncio.create_task(search.run(prepared))
    while not search.ready:
        await asyncio.sleep(0.001)
    yield search
    running.cancel()
    await search.close()
    await store.close()


@pytest.fixture
async def search(there: MemoryGateway, tmp_path: Path) -> AsyncIterator[Search]:
    """The search here, which knew all sessions when the other gateway had none."""
    async with searching_of(there, tmp_path) as search:
        yield search


async def finds(search: Search, said: str, expected: Sequence[str]) -> None:
    """Wait until the search finds these sessions by these words."""
    query = SessionQuery(limit=10, more=SearchFilter(words=tuple(words_of(said))))
    async with asyncio.timeout(10):
        while (await search.page(query)).ids != list(expected):
            await asyncio.sleep(0.001)


async def test_a_session_is_found_once_it_has_begun_and_its_words_once_it_has_ended(
    there: MemoryGateway, search: Search
) -> None:
    live = await there.create("s", event("e1", {"text": "porridge"}))
    await finds(search, "s", ["s"])
    await there.append(live, event("e2", {"text": "marmalade"}))
    await there.end(live)
    await finds(search, "porridge marmalade", ["s"])


async def test_words_said_in_the_grace_time_are_found_once_it_is_over(
    there: MemoryGateway, search: Search, clock: Clock
) -> None:
    live, later = await there.create("s"), await there.create("later")
    await there.end(live)
    clock.forward(10)
    await there.append(later, event("e1", {"text": "porridge"}))
    await there.end(later)
    await finds(search, "porridge", ["later"])  # so it looks for sessions that have just ended, and no further back
    await there.append(live, event("late", {"text": "marmalade"}))
    clock.forward(2 * SETTLING)
    await finds(search, "marmalade", ["s"])


async def test_a_session_that_is_gone_from_the_database_is_forgotten(there: MemoryGateway, search: Search) -> None:
    live = await there.create("s", event("e1", {"text": "porridge"}))
    await there.end(live)
    await finds(search, "porridge", ["s"])
    there.database.forget("sessions", lambda document: document["_id"] == "s")
    search.gathering.erased("s")  # as the news of other gateways' erasures do
    await finds(search, "porridge", [])


async def test_a_session_that_is_amended_elsewhere_after_its_end_is_found_by_what_it_says_now(
    there: MemoryGateway, search: Search, clock: Clock
) -> None:
    live = await there.create("s", event("e1", {"text": "porridge"}))
    await there.end(live)
    await finds(search, "porridge", ["s"])
    clock.forward(10 * SETTLING)
    await there.requests.amend("s", {"outcome": "marmalade"}, None)
    await finds(search, "marmalade", ["s"])


async def test_a_session_that_was_amended_while_the_search_was_away_is_found_by_what_it_says_now(
    there: MemoryGateway, clock: Clock, tmp_path: Path
) -> None:
    async with searching_of(there, tmp_path) as search:
        await there.end(await there.create("s", event("e1", {"text": "porridge"})))
        await finds(search, "porridge", ["s"])
    clock.forward(10 * SETTLING)
    await there.requests.amend("s", {"outcome": "marmalade"}, None)
    clock.forward(10 * SETTLING)
    async with searching_of(there, tmp_path) as search:
        await finds(search, "marmalade", ["s"])
