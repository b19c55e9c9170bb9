"""Safety of the log: a lost end is noticed, lanes are independent, waiting is bounded, queries name one shard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from pymongo import MongoClient

from tests.store.test_event_log import append, documents
from tests.store.test_sessions import NOW, load, record
from tests.support.failpoints import failing
from tests.support.forging_proxy import ForgingProxy
from turnwire.protocol.errors import LogRolledBack, Overloaded
from turnwire.protocol.times import parse_time
from turnwire.store.event_documents import Mark
from turnwire.store.lanes.shard_hash import lane_of, shard_hash
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionRecord


async def put_back(uri: str, database: str, session_id: str, last: int) -> None:
    """Do what a restored backup does: the log ends at `last`."""

    def run() -> None:
        with MongoClient[dict[str, Any]](uri, timeoutMS=10_000) as client:
            keys = [f"{session_id}/{seq:010d}" for seq in range(last + 1, last + 200)]
            client[database]["events"].delete_many({"_id": {"$in": keys}})

    await asyncio.to_thread(run)


async def test_after_trouble_no_event_is_appended_behind_a_lost_head(
    store: Store, database_uri: str, database_name: str
) -> None:
    head = await store.events.append("s", documents("s", 1, 100), 1000)
    await append(store, "fine", 1)
    await put_back(database_uri, database_name, "s", 50)
    async with failing(database_uri, "find", times=1, errorCode=10107), asyncio.timeout(20):
        assert not await store.events.holds("s", 100)  # the driver asks twice; its listeners hear of it soon
        while store.events.troubles == head.as_of:
            await asyncio.sleep(0.01)
    with pytest.raises(LogRolledBack) as lost:
        await store.events.append("s", documents("s", 101, 1), 10, as_of=head.as_of)
    assert (lost.value.session_id, lost.value.seq) == ("s", 100)
    last = await store.events.head_until("s", 100)
    assert last is not None
    assert last.seq == 50
    [fiftieth] = await store.events.read("s", 50, 50)
    at = parse_time(fiftieth.timestamp)
    assert await store.events.stands("s", Mark(50, at, "s-e50"))
    assert await store.events.stands("s", Mark(50, at))
    assert not await store.events.stands("s", Mark(50, at, "s-e49"))
    assert not await store.events.stands("s", Mark(50, at + timedelta(milliseconds=1), "s-e50"))
    assert not await store.events.stands("s", Mark(51, at))
    appended = await store.events.append("s", documents("s", 51, 2), 10, as_of=store.events.troubles)
    assert appended.stored == 2
    assert (await store.events.append("fine", documents("fine", 2, 1), 10, as_of=head.as_of)).stored == 1


async def test_an_append_that_waited_out_an_outage_leaves_no_hole(
    store: Store, database_uri: str, database_name: str
) -> None:
    await append(store, "s", 1, 10)
    async with failing(database_uri, "insert", errorCode=10107):
        waiting = asyncio.create_task(append(store, "s", 11))
        while not store.events.troubles:
            await asyncio.sleep(0.01)
        await put_back(database_uri, database_name, "s", 4)
    async with asyncio.timeout(10):
        with pytest.raises(LogRolledBack):
            await waiting
    assert await store.events.read_present("s", range(5, 12)) == []


@pytest.mark.parametrize("last", [0, 1, 2, 63, 64, 99])
async def test_the_last_event_of_a_log_that_has_lost_its_end_is_found(
    store: Store, database_uri: str, database_name: str, last: int
) -> None:
    await append(store, "s", 1, 100)
    await put_back(database_uri, database_name, "s", last)
    found = await store.events.head_until("s", 100)
    assert (found.seq if found is not None else 0) == last


async def test_a_server_that_disconnects_while_idle_counts_as_trouble(database_uri: str, database_name: str) -> None:
    async with ForgingProxy(database_uri) as proxy:
        store = Store.connect(proxy.uri, database_name)
        await append(store, "s", 1)
        before = store.events.troubles
    async with asyncio.timeout(10):  # the proxy is gone, and no query is under way
        while store.events.troubles == before:
            await asyncio.sleep(0.05)
    await store.close()


# --- shards and lanes ------------------------------------------------------------------------------------------------


@pytest.fixture
async def watched(database_uri: str, database_name: str) -> AsyncIterator[tuple[Store, ForgingProxy]]:
    async with ForgingProxy(database_uri) as proxy:
        store = Store.connect(proxy.uri, database_name)
        await store.prepare()
        yield store, proxy
        await store.close()


async def test_every_query_of_events_and_digests_names_the_session(watched: tuple[Store, ForgingProxy]) -> None:
    store, proxy = watched
    await append(store, "s", 1, 60)
    assert await append(store, "s", 60, 1) == 0
    await store.events.read("s", 1, 60)
    await store.events.head_after("s", 0)
    await store.events.times("s", 60)
    await store.events.head_until("s", 61)
    await store.events.digests.save("s", 0, b"", b"")
    assert await store.events.digests.load("s", 1000)
    finds = [each for each in proxy.commands("find") if each["find"] in ("events", "digests")]
    assert len(finds) > 8
    for find in finds:
        assert find["filter"]["sessionId"] in ("s", {"$in": ["s"]}), find
        assert "_id" in find["filter"]
        assert find["readConcern"]["level"] in ("majority", "linearizable")
    watched_inserts = [each for each in proxy.commands("insert") if each["insert"] in ("events", "digests")]
    inserts = [document for each in watched_inserts for document in each["documents"]]
    assert {document.get("sessionId") for document in inserts} == {"s"}


def test_lanes_are_ranges_of_the_hash_that_places_sessions_on_shards() -> None:
    assert shard_hash("") == 2049396243249673340  # as MongoDB's hashed index computes it
    assert [lane_of(f"s{number}", 1) for number in range(5)] == [0] * 5
    lanes = {f"s{number}": lane_of(f"s{number}", 8) for number in range(1000)}
    assert set(lanes.values()) == set(range(8))
    by_hash = sorted(lanes, key=shard_hash)
    assert [lanes[each] for each in by_hash] == sorted(lanes.values())


async def test_a_slow_lane_does_not_hold_up_the_others(database_uri: str, database_name: str) -> None:
    slow = next(name for name in map(str, range(100)) if lane_of(name, 8) == 0)
    fast = next(name for name in map(str, range(100)) if lane_of(name, 8) == 7)
    store = Store.connect(database_uri, database_name, insert_lanes=8)
    async with failing(database_uri, "insert", times=1, blockConnection=True, blockTimeMS=3000):
        waiting = asyncio.create_task(append(store, slow, 1))
        await asyncio.sleep(0.2)
        async with asyncio.timeout(2):
            for seq in range(1, 4):
                assert await append(store, fast, seq) == 1
        assert not waiting.done()
        assert await waiting == 1
    await store.close()


# --- bounds ----------------------------------------------------------------------------------------------------------


async def test_waiting_bytes_for_the_storage_are_bounded_and_released(database_uri: str, database_name: str) -> None:
    store = Store.connect(database_uri, database_name, max_waiting_bytes=3_000_000)
    async with failing(database_uri, "insert", errorCode=10107):
        waiting = [asyncio.create_task(store.events.append(f"s{n}", documents(f"s{n}", 1, 1), 10**6)) for n in range(2)]
        await asyncio.sleep(0.1)
        assert 2_000_000 < store.events.waiting_bytes < 2_001_000
        with pytest.raises(Overloaded):
            await store.events.append("late", documents("late", 1, 1), 10**6)
    assert [(await each).stored for each in waiting] == [1, 1]
    assert store.events.waiting_bytes == 0
    assert await append(store, "late", 1) == 1
    await store.close()


async def test_an_append_whose_client_has_left_is_not_sent(store: Store, database_uri: str) -> None:
    async with failing(database_uri, "insert", errorCode=10107):
        first = asyncio.create_task(append(store, "first", 1))
        await asyncio.sleep(0.05)
        dropped = [asyncio.create_task(append(store, f"s{n}", 1)) for n in range(10)]
        await asyncio.sleep(0.05)
        for each in dropped:
            each.cancel()
        await asyncio.wait(dropped)
    assert await first == 1
    assert await append(store, "last", 1) == 1
    assert store.events.waiting_bytes == 0
    for n in range(10):
        assert await store.events.read_present(f"s{n}", [1]) == []


# --- lazy fields -----------------------------------------------------------------------------------------------------


async def test_a_stale_gateways_flush_reverts_no_field(store: Store) -> None:
    await store.sessions.create(record())
    known = record(last_seq=9, last_event_at=NOW, heartbeat=7, status="active")
    await store.sessions.save_lazy_fields([known])
    assert await store.sessions.claim(record(epoch=0))
    for stale in (record(last_seq=9, last_event_at=NOW, heartbeat=3), record(last_seq=4, heartbeat=9)):
        await store.sessions.save_lazy_fields([stale])
        stored = await load(store)
        assert (stored.last_seq, stored.last_event_at, stored.heartbeat, stored.epoch) == (9, NOW, 7, 1)
        assert stored.status == "active"


async def test_a_stale_gateways_end_reverts_no_field(store: Store) -> None:
    await asyncio.gather(*(store.sessions.create(record(f"s{n}")) for n in range(4)))
    for n in (1, 2):
        await store.sessions.save_lazy_fields([record(f"s{n}", last_seq=9, last_event_at=NOW, heartbeat=7)])
    assert await store.sessions.end(record("s2"), "failed", NOW, "first")
    stale = [record(f"s{n}", last_seq=3, heartbeat=1) for n in range(4)]
    ends = [store.sessions.end(each, "completed", NOW, None, epoch=int(each.session_id == "s3")) for each in stale]
    assert await asyncio.gather(*ends) == [True, True, False, False]
    loaded: list[SessionRecord] = [await load(store, f"s{n}") for n in range(4)]
    assert [(each.last_seq, each.heartbeat, each.end_reason) for each in loaded] == [
        (3, 1, None),
        (9, 7, None),
        (9, 7, "first"),
        (0, 0, None),
    ]
    assert [each.status for each in loaded] == ["completed", "completed", "failed", "initiated"]
    assert [each.last_event_at for each in loaded[1:3]] == [NOW, NOW]
