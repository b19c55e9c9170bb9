"""Sessions are loaded once, however many clients ask for them, and leave memory when nobody needs them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.support.in_memory import Crowd, MemoryGateway, event, events, pass_time, record, until
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sessions.memory import metadata_bytes
from turnwire.protocol.errors import NoSuchSession, Overloaded, StorageUnavailable
from turnwire.protocol.values import JsonObject, is_packed, packed


async def test_opening_a_session_many_times_at_once_reads_it_once(
    here: MemoryGateway, there: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.create("s", *events("a", "b"))
    load, reads = there.store.sessions.load, []

    async def counted(session_id: str) -> object:
        reads.append(session_id)
        return await load(session_id)

    monkeypatch.setattr(there.store.sessions, "load", counted)
    lives = await asyncio.gather(*(there.open() for _ in range(20)))
    assert (len(set(lives)), reads, lives[0].state.record.last_seq) == (1, ["s"], 2)


async def test_a_client_that_gives_up_opening_fails_no_other(here: MemoryGateway, there: MemoryGateway) -> None:
    await here.create()
    waiting = [asyncio.create_task(there.open()) for _ in range(4)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[2].cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [
        asyncio.CancelledError,
        LiveSession,
        asyncio.CancelledError,
        LiveSession,
    ]
    assert results[1] is results[3] is there.live["s"]


async def test_everyone_waiting_for_a_session_learns_why_it_cannot_be_opened(here: MemoryGateway) -> None:
    here.database.away = True
    results = await asyncio.gather(*(here.open() for _ in range(3)), return_exceptions=True)
    assert {type(result) for result in results} == {StorageUnavailable}
    here.database.away = False
    results = await asyncio.gather(*(here.open() for _ in range(3)), return_exceptions=True)
    assert {type(result) for result in results} == {NoSuchSession}
    await here.create()
    assert (await here.open()).session_id == "s"


@pytest.mark.parametrize("begun", [False, True])
async def test_everyone_waiting_for_a_session_gets_an_error_when_the_gateway_stops(
    here: MemoryGateway, there: MemoryGateway, begun: bool
) -> None:
    await here.create()
    opening = asyncio.create_task(there.open())
    await asyncio.sleep(0)
    if begun:
        await asyncio.sleep(0)
    await there.sessions.stop()
    with pytest.raises(StorageUnavailable):
        await opening


async def test_concurrent_creations_at_two_gateways_create_once(here: MemoryGateway, there: MemoryGateway) -> None:
    results = await asyncio.gather(*(each.sessions.create(record()) for each in (here, there) * 10))
    assert sum(created for _, created in results) == 1
    assert {live for live, _ in results} == {here.live["s"], there.live["s"]}


async def test_a_session_can_be_created_right_after_it_was_not_found(here: MemoryGateway) -> None:
    looking = asyncio.create_task(here.open())
    await asyncio.sleep(0)
    live, created = await here.sessions.create(record())
    assert (created, live) == (True, here.live["s"])
    [found] = await asyncio.gather(looking, return_exceptions=True)
    assert isinstance(found, NoSuchSession)


async def test_full_memory_evicts_unused_sessions(join: StartMemory) -> None:
    here = join(max_live_sessions=3)
    for number in range(10):
        await here.create(f"s{number}")
        assert len(here.live) <= 3
    for number in range(10):
        assert (await here.open(f"s{number}")).session_id in here.live


async def test_memory_full_of_sessions_in_use_refuses_further_sessions(join: StartMemory) -> None:
    here = join(max_live_sessions=2)
    seats = [await here.claim(await here.create(name)) for name in ("a", "b")]
    with pytest.raises(Overloaded):
        await here.create("d")
    assert await here.store.sessions.load("d") is None
    await here.store.sessions.create(record("c"))
    with pytest.raises(Overloaded):
        await here.open("c")
    assert [seat.epoch for seat in seats] == [1, 1]
    await here.end(here.live["a"])
    here.live["a"].release(seats[0])
    await until(lambda: here.live["a"].idle)
    assert (await here.open("c")).session_id == "c"
    assert "a" not in here.live


async def test_a_held_session_is_not_evicted_between_two_awaits(join: StartMemory) -> None:
    here = join(max_live_sessions=1)
    await here.create("a")
    await here.store.sessions.create(record("b"))
    live = await here.open("a")
    with live.held():
        with pytest.raises(Overloaded):
            await here.open("b")
        assert here.live == {"a": live}
    assert (await here.open("b")).session_id == "b"


async def test_an_opened_session_is_in_memory_in_the_same_step(join: StartMemory) -> None:
    here = join(max_live_sessions=1)
    for number in range(4):
        await here.create(f"s{number}")

    async def use(number: int) -> bool:
        try:
            live = await here.open(f"s{number % 4}")
        except Overloaded:
            return True
        return here.live.get(live.session_id) is live

    assert all(await asyncio.gather(*(use(number) for number in range(40))))


async def test_a_session_with_unwritten_fields_is_not_evicted(join: StartMemory) -> None:
    here = join(max_live_sessions=1)
    live = await here.create("a", event("e"))
    with pytest.raises(Overloaded):
        await here.create("b")
    await here.parts.lazy_fields.flush()
    await here.create("b")
    assert "a" not in here.live
    assert not live.state.unwritten


async def test_an_evicted_session_is_loaded_as_it_was(here: MemoryGateway) -> None:
    live = await here.create("s", *events("a", "b"))
    before = replace(live.state.session(), figures=None)
    await here.parts.lazy_fields.flush()
    assert here.sessions.evict(live)
    again = await here.open()
    assert again is not live
    assert replace(again.state.session(), figures=None) == before  # read from the log when wanted
    assert [each.duplicate for each in await here.append(again, *events("b", "c"))] == [True, False]


async def test_a_watched_session_is_not_evicted(here: MemoryGateway) -> None:
    live = await here.create()
    live.state.audience = Crowd()
    assert not here.sessions.evict(live)
    assert here.live["s"] is live


async def test_a_session_whose_stored_fields_lag_is_written_after_loading(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    await here.create("s", event("a"))
    live = await there.open()
    assert live.state in there.parts.lazy_fields
    await there.parts.lazy_fields.flush()
    assert ((await there.stored()).last_seq, (await there.stored()).status) == (1, "active")


async def test_a_creation_waits_for_the_database_to_be_prepared_and_no_longer_than_its_time(join: StartMemory) -> None:
    here = join(rest_timeout=2.0)
    here.sessions.prepared.clear()
    creating = asyncio.create_task(here.create())
    await pass_time(1)
    assert not creating.done()
    here.sessions.prepared.set()
    assert (await creating).session_id == "s"
    here.sessions.prepared.clear()
    with pytest.raises(StorageUnavailable):
        await here.create("t")


LARGE: dict[str, Any] = {"notes": [{"n": [number]} for number in range(500)]}


async def test_memory_full_of_metadata_makes_room_by_evicting_idle_sessions(join: StartMemory) -> None:
    most = 4 * metadata_bytes(LARGE)
    here = join(max_live_bytes=most)
    for number in range(10):
        await here.create(f"s{number}", metadata=LARGE)
        assert here.sessions.memory.size <= most
    assert 1 < len(here.live) < 4


async def test_memory_full_of_sessions_in_use_refuses_a_creation_and_stores_nothing_of_it(join: StartMemory) -> None:
    here = join(max_live_bytes=3 * metadata_bytes(LARGE))
    lives = [await here.create(name, metadata=LARGE) for name in "ab"]
    seats = [await here.claim(live) for live in lives]
    with pytest.raises(Overloaded, match="memory"):
        await here.create("c", metadata=LARGE)
    assert await here.store.sessions.load("c") is None
    await here.end(lives[0])
    lives[0].release(seats[0])
    await here.parts.lazy_fields.flush()
    assert (await here.create("c", metadata=LARGE)).session_id == "c"


async def test_a_bound_of_0_bytes_is_no_limit(join: StartMemory) -> None:
    here = join(max_live_bytes=0)
    for number in range(4):
        await here.claim(await here.create(f"s{number}", metadata=LARGE))
    assert len(here.live) == 4


async def test_a_session_is_weighed_with_its_log_and_its_metadata_until_it_leaves(join: StartMemory) -> None:
    here = join(idle_evict=60)
    live = await here.create()
    here.start()
    empty = here.sessions.memory.size
    await here.append(live, *events("a", "b"))
    await until(lambda: here.sessions.memory.size > empty)
    with_log = here.sessions.memory.size
    await here.requests.amend("s", LARGE, None)
    await until(lambda: here.sessions.memory.size == with_log + metadata_bytes(packed(LARGE)))
    await until(lambda: here.sessions.memory.size == 0)
    assert not here.live


async def test_an_erased_session_weighs_nothing(here: MemoryGateway) -> None:
    await here.create(metadata=LARGE)
    await here.parts.erasing.erase("s", force=False)
    assert here.sessions.memory.size == 0


async def test_metadata_weighs_more_the_more_containers_it_has() -> None:
    flat = {"notes": "x" * 3000}
    assert metadata_bytes({}) == 0
    assert metadata_bytes(flat) < 3 * 3000 < 10 * 3000 < metadata_bytes({"notes": [[]] * 1000}) < 100 * 3000


async def test_large_metadata_is_not_kept_decoded(here: MemoryGateway) -> None:
    large: JsonObject = {"notes": [[]] * 20_000}
    assert metadata_bytes(packed(large)) < 2 * len(msgspec.json.encode(large))
    await here.create()
    shown = await here.requests.amend("s", large, None)
    live = await here.open()
    assert is_packed(live.state.record.metadata)
    assert shown.metadata == live.state.record.metadata == large
    await here.requests.amend("s", {"notes": None, "name": "Ada"}, None)
    assert live.state.record.metadata == {"name": "Ada"}
