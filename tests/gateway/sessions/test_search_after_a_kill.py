"""The search of a gateway that is alone, and was killed before it had written what it had just stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import MemoryGateway, event, memory_database
from turnwire.gateway.clock import utc_now
from turnwire.gateway.finding import notes
from turnwire.gateway.finding.gathering import Gathering
from turnwire.gateway.finding.search import Search
from turnwire.store.mongo import Store
from turnwire.store.search.catalog import Catalog
from turnwire.store.search.tables import FILE_NAME
from turnwire.store.session_filter import SearchFilter, words_of
from turnwire.store.sessions import SessionQuery

SETTLING = 30.0


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> MemoryDatabase:
    """Notes go with the next flush, so that none is left of what a test does first."""
    monkeypatch.setattr(notes, "SETTLED_SECONDS", 0)
    return memory_database()


@asynccontextmanager
async def gateway_on(database: MemoryDatabase, folder: Path) -> AsyncIterator[MemoryGateway]:
    """A gateway whose search knows all sessions that there are. At the end it is killed: nothing more is written."""

    def searching(store: Store) -> Search:
        return Search(store, folder / FILE_NAME, shared=False, settling=SETTLING)

    gateway, prepared = MemoryGateway(database, alone=True, searching=searching), asyncio.Event()
    prepared.set()
    search = search_of(gateway)
    running = asyncio.create_task(search.run(prepared))
    while not search.ready:
        await asyncio.sleep(0.001)
    yield gateway
    running.cancel()
    search.gathering = Gathering()
    search.gathering.missed["lost"] = None  # so that no notes are removed either
    await search.close()
    await gateway.stop()


def search_of(gateway: MemoryGateway) -> Search:
    assert gateway.parts.search is not None
    return gateway.parts.search


async def found(gateway: MemoryGateway, said: str) -> list[str]:
    query = SessionQuery(limit=10, more=SearchFilter(words=tuple(words_of(said))))
    return (await search_of(gateway).page(query)).ids


async def ended_session(gateway: MemoryGateway, session_id: str, started_at: datetime | None = None) -> None:
    """A session that the search knows as ended."""
    await gateway.requests.create(
        session_id=session_id, language="en", metadata={}, status="initiated", started_at=started_at
    )
    await gateway.requests.complete(session_id, "completed", None)
    await search_of(gateway).flush()


def noted(folder: Path) -> list[str]:
    catalog = Catalog(folder / FILE_NAME)
    ids = catalog.noted()
    catalog.close()
    return ids


async def test_a_session_that_was_amended_after_its_end_is_found_by_what_it_says_now(
    database: MemoryDatabase, tmp_path: Path
) -> None:
    async with gateway_on(database, tmp_path) as gateway:
        await ended_session(gateway, "s", utc_now() - timedelta(days=3))
        await ended_session(gateway, "newer")
        await gateway.requests.amend("s", {"outcome": "marmalade"}, None)
    async with gateway_on(database, tmp_path) as gateway:
        assert await found(gateway, "marmalade") == ["s"]


async def test_a_session_that_began_long_before_it_was_created_is_listed(
    database: MemoryDatabase, tmp_path: Path
) -> None:
    long_ago = utc_now() - timedelta(days=3)
    async with gateway_on(database, tmp_path) as gateway:
        await ended_session(gateway, "newer")
        await gateway.requests.create(
            session_id="s", language="en", metadata={}, status="initiated", started_at=long_ago
        )
    async with gateway_on(database, tmp_path) as gateway:
        assert await search_of(gateway).ordered_page(SessionQuery(limit=9)) == ["newer", "s"]


async def test_a_session_that_begins_in_the_future_hides_none_that_begins_now(
    database: MemoryDatabase, tmp_path: Path
) -> None:
    async with gateway_on(database, tmp_path) as gateway:
        await ended_session(gateway, "later", utc_now() + timedelta(days=300))
        await gateway.requests.create(session_id="s", language="en", metadata={}, status="initiated")
    async with gateway_on(database, tmp_path) as gateway:
        assert await search_of(gateway).ordered_page(SessionQuery(limit=9)) == ["later", "s"]


async def test_words_said_in_the_grace_time_are_found_after_a_kill(database: MemoryDatabase, tmp_path: Path) -> None:
    async with gateway_on(database, tmp_path) as gateway:
        await ended_session(gateway, "s", utc_now() - timedelta(hours=3))
        await ended_session(gateway, "newer")
        await gateway.requests.append("s", [event("late", {"text": "marmalade"})], 100)
    async with gateway_on(database, tmp_path) as gateway:
        assert await found(gateway, "marmalade") == ["s"]


async def test_a_change_is_noted_before_it_is_stored_and_until_it_is_known(
    database: MemoryDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway_on(database, tmp_path) as gateway:
        await ended_session(gateway, "s")
        search, record = search_of(gateway), await gateway.stored("s")
        monkeypatch.setattr(notes, "SETTLED_SECONDS", 1000)
        async with search.around(record), search.around(record):
            assert noted(tmp_path) == ["s"]
        await search.flush()
        assert noted(tmp_path) == ["s"]
        monkeypatch.setattr(notes, "SETTLED_SECONDS", 0)
        async with search.around(record):
            await search.flush()
            assert noted(tmp_path) == ["s"]  # another change
        await search.flush()
        assert noted(tmp_path) == []
    async with gateway_on(database, tmp_path) as gateway, search_of(gateway).around(record):
        pass
    async with gateway_on(database, tmp_path) as gateway:  # which has read it again
        await search_of(gateway).flush()
        assert noted(tmp_path) == []


async def test_sessions_that_are_new_are_not_noted(database: MemoryDatabase, tmp_path: Path) -> None:
    """A start looks for them anyway."""
    async with gateway_on(database, tmp_path) as gateway:
        await gateway.requests.create(session_id="s", language="en", metadata={}, status="initiated")
        await gateway.requests.amend("s", {"outcome": "marmalade"}, None)
        await gateway.requests.complete("s", "completed", None)
        assert noted(tmp_path) == []


async def test_notes_that_cannot_be_written_stop_no_change(database: MemoryDatabase, tmp_path: Path) -> None:
    async with gateway_on(database, tmp_path) as gateway:
        await ended_session(gateway, "s")
        catalog = Catalog(tmp_path / FILE_NAME)
        catalog._connection.execute("DROP TABLE state")
        catalog.close()
        session = await gateway.requests.amend("s", {"outcome": "marmalade"}, None)
        assert session.metadata == {"outcome": "marmalade"}
