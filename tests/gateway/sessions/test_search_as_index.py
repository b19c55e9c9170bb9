"""The search of a gateway that is alone knows all sessions, in order: lists read no others."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from msgspec.structs import replace

from turnwire.gateway.finding.search import Search
from turnwire.gateway.live.state import SessionState
from turnwire.store.mongo import Store
from turnwire.store.search.catalog import Catalog
from turnwire.store.search.tables import FILE_NAME
from turnwire.store.sessions import SessionQuery, SessionRecord

STARTED = datetime(2026, 6, 1, tzinfo=UTC)


class State:
    """A session in memory."""

    def __init__(self, number: int) -> None:
        self.session_id = f"s{number}"
        self.record = SessionRecord(self.session_id, "en", STARTED + timedelta(seconds=number))


async def no_sessions(_query: SessionQuery) -> list[SessionRecord]:
    return []


STORE = cast("Store", SimpleNamespace(sessions=SimpleNamespace(page=no_sessions)))


async def test_the_search_index_has_a_session_as_soon_as_it_is_created(tmp_path: Path) -> None:
    search, prepared = Search(STORE, tmp_path / FILE_NAME, shared=False), asyncio.Event()
    assert await search.ordered_page(SessionQuery(limit=3)) is None  # it may not know all yet
    prepared.set()
    running = asyncio.create_task(search.run(prepared))
    while not search.ready:
        await asyncio.sleep(0.001)
    for number in range(3):
        search.gathering.changed(cast("SessionState", State(number)))
        assert await search.ordered_page(SessionQuery(limit=1)) == [f"s{number}"]
    running.cancel()
    await search.close()


async def test_a_cancelled_list_costs_the_search_nothing_that_it_was_told(tmp_path: Path) -> None:
    async def load(session_id: str) -> SessionRecord:
        return State(int(session_id.removeprefix("s"))).record

    sessions = SimpleNamespace(page=no_sessions, load=load)
    store = cast("Store", SimpleNamespace(sessions=sessions, events=SimpleNamespace(head_after=no_sessions)))
    search = Search(store, tmp_path / FILE_NAME, shared=False)
    prepared = asyncio.Event()
    prepared.set()
    running = asyncio.create_task(search.run(prepared))
    while not search.ready:
        await asyncio.sleep(0.001)
    busy = threading.Event()
    search._writing.submit(busy.wait)
    search.gathering.changed(cast("SessionState", State(0)))
    cancelled = asyncio.create_task(search.ordered_page(SessionQuery(limit=1)))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    busy.set()
    assert await search.ordered_page(SessionQuery(limit=1)) in (None, ["s0"])  # None: it does not know all now
    running.cancel()
    await search.close()


async def test_the_search_index_is_ready_before_it_knows_whether_all_old_sessions_still_exist(tmp_path: Path) -> None:
    """A million sessions are looked at for a long time. Those that are gone are then forgotten."""
    catalog = Catalog(tmp_path / FILE_NAME)
    started = [State(number).record for number in range(3)]
    catalog.take([replace(each, status="completed", ended_at=each.started_at) for each in started], [])
    catalog.note_complete()
    catalog.close()
    looks, asked = asyncio.Event(), asyncio.Event()

    async def which_exist(_ids: list[str]) -> set[str]:
        asked.set()
        await looks.wait()
        return {"s0", "s2"}

    async def load(_session_id: str) -> None:
        return None

    sessions = SimpleNamespace(page=no_sessions, which_exist=which_exist, load=load)
    search = Search(cast("Store", SimpleNamespace(sessions=sessions)), tmp_path / FILE_NAME, shared=False)
    prepared = asyncio.Event()
    prepared.set()
    running = asyncio.create_task(search.run(prepared))
    await asked.wait()
    assert search.ready
    looks.set()
    while await search.ordered_page(SessionQuery(limit=9)) != ["s2", "s0"]:
        await asyncio.sleep(0.001)
    running.cancel()
    await search.close()


async def test_the_search_index_is_not_asked_for_plain_lists_on_a_shared_database(tmp_path: Path) -> None:
    search = Search(STORE, tmp_path / FILE_NAME, shared=True)
    search.ready = True
    assert await search.ordered_page(SessionQuery(limit=3)) is None
    await search.close()
