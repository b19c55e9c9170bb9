"""Lazy fields are written now and then: they are never lost in memory and never reverted in the store."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from msgspec.structs import replace

from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import MemoryGateway, event, events, itself, pass_time, shrink_pages, until
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.live.items import BeatItem
from turnwire.gateway.sessions import pages
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import SessionStatus
from turnwire.store.sessions import SessionQuery


async def test_changed_fields_are_written_once(here: MemoryGateway) -> None:
    live = await here.create("s", *events("a", "b"))
    fields = here.parts.lazy_fields
    assert live.state in fields
    await fields.flush()
    stored = await here.stored()
    assert (stored.last_seq, stored.status, live.state.unwritten) == (2, "active", False)
    assert not fields


async def test_fields_that_change_during_their_write_stay_due(here: MemoryGateway) -> None:
    live = await here.create("s", event("a"))
    flushing = asyncio.create_task(here.parts.lazy_fields.flush())
    await asyncio.sleep(0)
    assert live.state not in here.parts.lazy_fields
    live.submit(BeatItem())
    await flushing
    assert (live.state in here.parts.lazy_fields, live.state.unwritten) == (True, True)
    await here.parts.lazy_fields.flush()
    assert (await here.stored()).heartbeat == 1


@pytest.mark.parametrize("how", ["away", "cancelled"])
async def test_a_failed_flush_leaves_all_fields_due(here: MemoryGateway, how: str) -> None:
    live = await here.create("s", event("a"))
    here.database.away = how == "away"
    flushing = asyncio.create_task(here.parts.lazy_fields.flush())
    await asyncio.sleep(0)
    if how == "cancelled":
        flushing.cancel()
    with pytest.raises(StorageUnavailable if how == "away" else asyncio.CancelledError):
        await flushing
    here.database.away = False
    assert (live.state in here.parts.lazy_fields, live.state.unwritten) == (True, True)
    await here.parts.lazy_fields.flush()
    assert (await here.stored()).last_seq == 1


async def test_a_lagging_gateway_reverts_no_field_and_learns_the_newer_values(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, lagging = await here.create(), await there.open()
    await there.append(lagging, event("a"))
    await here.append(live, *events("b", "c"))
    await here.parts.lazy_fields.flush()
    await there.parts.lazy_fields.flush()
    assert (await here.stored()).last_seq == 3
    await until(lambda: lagging.state.record.last_seq == 3)


async def test_a_heartbeat_is_written_even_if_another_gateway_has_moved_the_head(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create(), await there.open()
    await here.claim(live)
    live.submit(BeatItem())
    await there.append(elsewhere, event("r"))
    await there.parts.lazy_fields.flush()
    for _ in range(2):  # the first flush learns that the store is ahead
        await here.parts.lazy_fields.flush()
        await until(lambda: live.state.busy_since is None)
        await pass_time(0.5)
    stored = await here.stored()
    assert (stored.heartbeat, stored.last_seq) == (1, 1)


async def test_a_flush_learns_of_a_stored_end_and_does_not_undo_it(here: MemoryGateway, there: MemoryGateway) -> None:
    live, elsewhere = await here.create("s", event("a")), await there.open()
    await there.end(elsewhere, "failed", "lost")
    await here.parts.lazy_fields.flush()
    assert (await here.stored()).status == "failed"
    await until(lambda: live.state.ended)
    assert live.state.record.end_reason == "lost"


async def test_a_list_by_status_is_exact_although_no_status_has_been_written(
    join: StartMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "SCAN_SECONDS", 5.0)  # of virtual time, in which a query takes long
    here = join(alone=True)
    for number in range(5):
        await here.create(f"new-{number}")
        await here.claim(await here.create(f"on-{number}", event(f"e{number}")))
    await here.parts.lazy_fields.flush_needed()
    assert {(await here.stored(f"on-{number}")).status for number in range(5)} == {"initiated"}
    prefixes: dict[SessionStatus, str] = {"active": "on", "initiated": "new"}
    for status, prefix in prefixes.items():
        query = SessionQuery(limit=3, status=(status,))
        first = await here.parts.pages.list_sessions(query, itself)
        last = datetime.fromisoformat(first[-1].started_at), first[-1].session_id
        rest = await here.parts.pages.list_sessions(replace(query, before=last), itself)
        found = [(session.session_id, session.status, session.last_seq) for session in [*first, *rest]]
        assert sorted(found) == [(f"{prefix}-{number}", status, int(prefix == "on")) for number in range(5)]


async def test_full_digest_pages_are_written_with_the_lazy_fields(
    here: MemoryGateway, database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_pages(monkeypatch, 4)
    live = await here.create("s", *events(*(f"e{n}" for n in range(9))))
    await here.end(live)
    assert live.state in here.parts.lazy_fields  # the end writes the fields, but not the pages
    await here.parts.lazy_fields.flush()
    assert sorted(database.majority["digests"]) == ["s/0000000000", "s/0000000001"]
    assert live.state not in here.parts.lazy_fields


async def test_a_session_the_database_refuses_does_not_keep_others_from_being_written(
    here: MemoryGateway, database: MemoryDatabase
) -> None:
    for session_id in ("a", "b", "c"):
        await here.create(session_id, event("e"))
    database.refuses = lambda document: document["_id"] == "b" and document.get("lastSeq", 0) > 0
    await here.parts.lazy_fields.flush()
    assert [(await here.stored(each)).last_seq for each in ("a", "b", "c")] == [1, 0, 1]


async def test_a_gateway_alone_writes_a_live_call_with_every_64th_event(join: StartMemory) -> None:
    here = join(alone=True)
    live = await here.create()
    seat = await here.claim(live)
    flush, stored = here.parts.lazy_fields.flush_needed, []
    for number in range(130):
        await here.append(live, event(f"e{number}"))
        await flush()
        stored.append((await here.stored()).last_seq)
    assert sorted(set(stored)) == [0, 64, 128]
    assert live.state in here.parts.lazy_fields
    live.release(seat)
    await until(lambda: live.state.publisher is None)
    await flush()
    assert ((await here.stored()).last_seq, live.state.unwritten) == (130, False)


async def test_fields_that_a_lone_gateway_has_not_written_are_found_after_a_crash(join: StartMemory) -> None:
    here = join(alone=True)
    live = await here.create()
    await here.claim(live)
    for number in range(60):
        await here.append(live, event(f"e{number}"))
        await here.parts.lazy_fields.flush_needed()
    assert (await here.stored()).last_seq == 0
    after = join(alone=True)
    again = await after.open()
    assert (again.state.record.last_seq, again.state.record.status) == (60, "active")
    await after.claim(again)
    for number in range(4):  # a gateway that crashes often never has to read more than that
        await after.append(again, event(f"f{number}"))
        await after.parts.lazy_fields.flush_needed()
    assert (await after.stored()).last_seq == 64


async def test_on_a_shared_database_the_fields_of_a_call_are_written_at_each_flush(here: MemoryGateway) -> None:
    live = await here.create()
    await here.claim(live)
    for number in range(3):
        await here.append(live, event(f"e{number}"))
        await here.parts.lazy_fields.flush_needed()
        assert (await here.stored()).last_seq == number + 1
