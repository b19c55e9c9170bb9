"""The log of events: batches, taken positions, documents that cannot be stored, and reading."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.failpoints import failing
from tests.support.proxy import DatabaseProxy
from turnwire.protocol.errors import LogHole, StorageUnavailable
from turnwire.protocol.messages import EventIn
from turnwire.protocol.times import to_millis
from turnwire.store.event_log import READ_WINDOW, RefusedDocument, event_documents
from turnwire.store.mongo import Store

START = datetime(2025, 1, 1, tzinfo=UTC)


def documents(session_id: str, first: int, count: int, **payload: Any) -> list[dict[str, Any]]:
    """Return documents for the positions from `first` on, with ids that name their positions."""
    events = [
        EventIn(f"{session_id}-e{seq}", "system", {"n": seq, **payload}, START + timedelta(seconds=seq))
        for seq in range(first, first + count)
    ]
    return event_documents(session_id, enumerate(events, start=first))


async def append(store: Store, session_id: str, first: int, count: int = 1, **payload: Any) -> int:
    appended = await store.events.append(session_id, documents(session_id, first, count, **payload), 10 * count)
    return appended.stored


async def write(store: Store, session_id: str, count: int) -> list[int]:
    """Append the events 1 to `count` as a writer does, reading on when a position is taken. Return the answers."""
    answers: list[int] = []
    head = 0
    while head < count:
        answers.append(await append(store, session_id, head + 1, count - head))
        head += answers[-1]
        found = await store.events.head_after(session_id, head)
        assert [event.event_id for event in found] == [f"{session_id}-e{head + n + 1}" for n in range(len(found))]
        head += len(found)
    assert await seqs(store, session_id) == list(range(1, count + 1))
    return answers


async def seqs(store: Store, session_id: str, last: int = 20) -> list[int]:
    return [event.seq for event in await store.events.read_present(session_id, range(1, last + 1))]


async def test_events_that_arrive_during_an_insert_form_the_next_one(store: Store) -> None:
    commits: list[int] = []
    store.events.on_commit = lambda stored, seconds: commits.append(stored)
    results = await asyncio.gather(*(append(store, f"s{n}", 1, 2) for n in range(100)))
    assert results == [2] * 100
    assert sum(commits) == 200
    assert len(commits) <= 3


async def test_an_idle_log_commits_at_once(store: Store) -> None:
    commits: list[int] = []
    store.events.on_commit = lambda stored, seconds: commits.append(stored)
    for seq in range(1, 4):
        assert await append(store, "s", seq) == 1
    assert commits == [1, 1, 1]


async def test_a_commit_holds_a_bounded_number_of_bytes(store: Store) -> None:
    commits: list[int] = []
    store.events.on_commit = lambda stored, seconds: commits.append(stored)
    appends = [store.events.append(f"s{n}", documents(f"s{n}", 1, 1), 1024 * 1024) for n in range(10)]
    await asyncio.gather(*appends)
    assert sum(commits) == 10
    assert max(commits) <= 4


async def test_a_taken_position_affects_only_its_session(store: Store) -> None:
    await append(store, "taken", 2, by="another")
    results = await asyncio.gather(*(append(store, session_id, 1, 3) for session_id in ("a", "taken", "b", "c")))
    assert results == [3, 1, 3, 3]
    assert await seqs(store, "taken") == [1, 2]
    (_, second) = await store.events.read("taken", 1, 2)
    assert second.payload == {"n": 2, "by": "another"}
    for session_id in ("a", "b", "c"):
        assert await seqs(store, session_id) == [1, 2, 3]


async def test_several_taken_positions_in_one_batch_are_all_reported(store: Store) -> None:
    for session_id in ("a", "c", "e"):
        await append(store, session_id, 1, by="another")
    results = await asyncio.gather(*(append(store, session_id, 1, 2) for session_id in "abcdef"))
    assert results == [0, 2, 0, 2, 0, 2]


@pytest.mark.parametrize("poison", [{"n": 2**64}, {"a\0b": 1}, {"x": object()}, {"x" * 10: {1, 2}}])
async def test_a_document_that_bson_cannot_hold_fails_alone(store: Store, poison: dict[str, Any]) -> None:
    bad = documents("bad", 1, 3)
    bad[1]["payload"] = poison
    results = await asyncio.gather(
        append(store, "a", 1, 2), store.events.append("bad", bad, 30), append(store, "b", 1, 2), return_exceptions=True
    )
    assert (results[0], results[2]) == (2, 2)
    assert isinstance(results[1], RefusedDocument)
    assert results[1].index == 1
    assert await seqs(store, "bad") == []


async def test_a_document_the_database_refuses_fails_alone(store: Store) -> None:
    deep: Any = 1
    for _ in range(150):
        deep = {"d": deep}
    bad = documents("bad", 1, 3)
    bad[1]["payload"] = {"deep": deep}
    results = await asyncio.gather(
        append(store, "a", 1, 2), store.events.append("bad", bad, 30), append(store, "b", 1, 2), return_exceptions=True
    )
    assert (results[0], results[2]) == (2, 2)
    if isinstance(results[1], RefusedDocument):  # the server has its own limit
        assert results[1].index == 1
        assert await seqs(store, "bad") == [1]


async def test_a_document_too_large_for_the_database_fails_alone(store: Store) -> None:
    bad = documents("bad", 1, 1, text="x" * (17 * 1024 * 1024))
    results = await asyncio.gather(
        append(store, "a", 1, 2), store.events.append("bad", bad, 30), return_exceptions=True
    )
    assert results[0] == 2
    assert isinstance(results[1], RefusedDocument)


async def test_documents_too_large_together_are_stored_in_parts(store: Store) -> None:
    large = documents("large", 1, 7, text="x" * (5 * 1024 * 1024))
    results = await asyncio.gather(append(store, "a", 1, 2), store.events.append("large", large, 70))
    assert (results[0], results[1].stored) == (2, 7)
    assert await seqs(store, "large") == list(range(1, 8))
    large[2]["payload"]["text"] *= 4
    for document in large:
        document["_id"] = document["_id"].replace("large", "again")
    with pytest.raises(RefusedDocument) as refused:
        await store.events.append("again", large, 70)
    assert refused.value.index == 2


@pytest.mark.parametrize(
    "trouble",
    [
        {"errorCode": 10107},
        {"errorCode": 2},
        {"closeConnection": True},
        {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}},
        {"writeConcernError": {"code": 100, "errmsg": "not enough data-bearing nodes"}},
    ],
    ids=str,
)
async def test_storage_trouble_only_delays_an_append(store: Store, database_uri: str, trouble: dict[str, Any]) -> None:
    async with failing(database_uri, "insert", times=2, **trouble):
        await asyncio.gather(*(write(store, session_id, 5) for session_id in "ab"))


@pytest.mark.parametrize("retries", ["true", "false"])
async def test_positions_stored_by_an_unanswered_insert_are_reported_as_taken(
    database_uri: str, database_name: str, retries: str
) -> None:
    """A writer that reads on finds its own events, whether a retry or a read discovered them."""
    async with DatabaseProxy(database_uri) as proxy:
        store = Store.connect(f"{proxy.uri}&retryWrites={retries}", database_name)
        try:
            proxy.lose_answer_to("insert")
            assert await asyncio.gather(*(write(store, session_id, 5) for session_id in "ab")) == [[0], [0]]
            assert proxy.lost == 1
        finally:
            await store.close()


async def test_reading_events_leaves_out_missing_positions(store: Store) -> None:
    await append(store, "s", 1, 5)
    assert await seqs(store, "s", 3) == [1, 2, 3]
    assert await seqs(store, "s", 400) == [1, 2, 3, 4, 5]
    assert await store.events.read_present("s", range(6, 11)) == []
    assert await store.events.read_present("other", range(1, 11)) == []
    assert [event.seq for event in await store.events.read_present("s", [5, 9, 1, 3])] == [1, 3, 5]


async def test_a_missing_event_that_must_exist_is_reported_as_a_hole(store: Store) -> None:
    await append(store, "s", 1, 3)
    await append(store, "s", 5, 2)
    events = store.events
    for read in (events.read("s", 1, 6), events.read_at("s", [6, 4, 1]), events.read_ids("s", 2, 5)):
        with pytest.raises(LogHole) as hole:
            await read
        assert (hole.value.session_id, hole.value.seq) == ("s", 4)
    with pytest.raises(LogHole):
        await events.read("s", 5, 7)
    with pytest.raises(LogHole):
        await events.times("s", 6)
    assert [event.seq for event in await events.read("s", 5, 6)] == [5, 6]
    assert await events.read("s", 7, 6) == []


async def test_an_event_is_read_as_it_was_stored(store: Store) -> None:
    payload = {"i": 2**63 - 1, "f": 1.0, "s": "ü\0", "l": [True, None, {"x": -0.0}], "": {"$set": 1, "a.b": []}}
    event = EventIn("e", "bot_speech", payload, datetime(1969, 7, 20, 20, 17, 40, 123456, UTC))
    await store.events.append("s/1", event_documents("s/1", [(1, event)]), 1)
    (found,) = await store.events.read("s/1", 1, 1)
    assert repr(found.payload) == repr(payload)
    assert (found.event_id, found.session_id, found.type, found.seq) == ("e", "s/1", "bot_speech", 1)
    assert found.timestamp == "1969-07-20T20:17:40.123Z"


@pytest.mark.parametrize("count", [0, 1, 2, 5, 6, 20, 21, 22, 70, 71, 72, 130])
async def test_the_head_of_a_log_is_found_from_any_known_position(store: Store, count: int) -> None:
    if count:
        await append(store, "s", 1, count)
    for known in {0, count // 2, max(0, count - 1), count}:
        found = await store.events.head_after("s", known)
        assert [event.seq for event in found] == list(range(known + 1, count + 1))


async def test_the_head_of_a_log_is_before_the_first_missing_position(store: Store) -> None:
    await append(store, "s", 1, 3)
    await append(store, "s", 5, 30)
    assert [event.seq for event in await store.events.head_after("s", 0)] == [1, 2, 3]
    assert await store.events.head_after("s", 3) == []


async def test_event_ids_are_read_in_order(store: Store) -> None:
    await append(store, "s", 1, READ_WINDOW + 20)
    found = await store.events.read_ids("s", 3, READ_WINDOW + 10)
    assert [(seq, event_id) for seq, event_id, _ in found] == [(n, f"s-e{n}") for n in range(3, READ_WINDOW + 11)]
    assert found[0][2] == START + timedelta(seconds=3)


async def test_the_times_of_events_are_told_by_position(store: Store) -> None:
    seconds = [5, 3, 5, 1, 3, 3, 9, 0]
    batch = documents("s", 1, len(seconds))
    for document, second in zip(batch, seconds, strict=True):
        document["timestamp"] = START + timedelta(seconds=second)
    await store.events.append("s", batch, 10)
    expected = [to_millis(START) + 1000 * second for second in seconds]
    assert list(await store.events.times("s", len(seconds))) == expected
    assert list(await store.events.times("s", 3)) == expected[:3]
    assert list(await store.events.times("s", 0)) == []


async def test_reads_raise_when_the_database_is_away(store: Store, database_uri: str) -> None:
    async with failing(database_uri, "find", errorCode=13):
        with pytest.raises(StorageUnavailable):
            await store.events.read("s", 1, 5)
        with pytest.raises(StorageUnavailable):
            await store.events.head_after("s", 0)
        with pytest.raises(StorageUnavailable):
            await store.events.times("s", 5)


async def test_closing_the_log_cancels_appends_not_known_to_be_stored(database_uri: str, database_name: str) -> None:
    store = Store.connect(database_uri, database_name)
    async with failing(database_uri, "insert", errorCode=10107):
        appends = [asyncio.create_task(append(store, f"s{n}", 1)) for n in range(3)]
        await asyncio.sleep(0)
        late = asyncio.create_task(append(store, "late", 1))
        await asyncio.sleep(0.1)
        await store.close()
        async with asyncio.timeout(5):
            results = await asyncio.gather(*appends, late, return_exceptions=True)
    assert {type(result) for result in results} == {asyncio.CancelledError}
