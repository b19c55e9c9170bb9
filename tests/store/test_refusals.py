"""An event or a session that the database refuses fails alone, with the reason."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient

from tests.support.forging_proxy import Forge, ForgingProxy, write_error
from turnwire.protocol.errors import RefusedSession
from turnwire.protocol.messages import EventIn
from turnwire.store.event_log import RefusedDocument, event_documents
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionRecord

START = datetime(2025, 1, 1, tzinfo=UTC)


def documents(session_id: str, first: int, count: int, **payload: Any) -> list[dict[str, Any]]:
    events = [EventIn(f"{session_id}-e{seq}", "system", payload, START) for seq in range(first, first + count)]
    return event_documents(session_id, enumerate(events, start=first))


async def append(store: Store, session_id: str, first: int, count: int = 1, **payload: Any) -> int:
    return (await store.events.append(session_id, documents(session_id, first, count, **payload), 10)).stored


def failing_for(session_id: str, code: int, text: str, **more: Any) -> Forge:
    """Fail every insert with documents of this session, store nothing of it, and blame the first of them."""

    def forge(command: dict[str, Any]) -> dict[str, Any] | None:
        at = [index for index, each in enumerate(command["documents"]) if each["sessionId"] == session_id]
        return write_error(at[0], code, text, **more) if at else None

    return forge


async def administer(uri: str, database: str, command: dict[str, Any]) -> None:
    def run() -> None:
        with MongoClient[dict[str, Any]](uri, timeoutMS=10_000) as client:
            client[database].command(command)

    await asyncio.to_thread(run)


async def require_field(uri: str, database: str, collection: str, rule: dict[str, Any]) -> None:
    await administer(uri, database, {"create": collection, "validator": rule})


async def test_an_event_that_a_validator_forbids_is_the_only_one_refused_at_once(
    store: Store, database_uri: str, database_name: str
) -> None:
    await require_field(database_uri, database_name, "events", {"payload.bad": {"$exists": False}})
    async with asyncio.timeout(2):
        results = await asyncio.gather(
            append(store, "a", 1, 2),
            append(store, "bad", 1, 3, bad=1),
            append(store, "b", 1, 2),
            return_exceptions=True,
        )
    assert (results[0], results[2]) == (2, 2)
    assert isinstance(results[1], RefusedDocument)
    assert (results[1].index, results[1].stored) == (0, 0)
    assert "failed validation" in results[1].reason


async def test_events_before_a_refused_one_are_known_to_be_stored(
    store: Store, database_uri: str, database_name: str
) -> None:
    await require_field(database_uri, database_name, "events", {"payload.bad": {"$exists": False}})
    batch = documents("s", 1, 2) + documents("s", 3, 1, bad=1) + documents("s", 4, 1)
    with pytest.raises(RefusedDocument) as refused:
        await store.events.append("s", batch, 10)
    assert (refused.value.index, refused.value.stored) == (2, 2)
    assert [event.seq for event in await store.events.read("s", 1, 2)] == [1, 2]
    assert await store.events.read_present("s", [3, 4]) == []


async def test_an_operators_unique_index_refuses_the_event_and_is_not_mistaken_for_a_taken_position(
    store: Store, database_uri: str, database_name: str
) -> None:
    index = {"key": {"payload.call": 1}, "name": "by_call", "unique": True, "sparse": True}
    await administer(database_uri, database_name, {"createIndexes": "events", "indexes": [index]})
    await append(store, "first", 1, call=7)
    async with asyncio.timeout(2):
        results = await asyncio.gather(
            append(store, "a", 1, 2), append(store, "second", 1, call=7), return_exceptions=True
        )
    assert results[0] == 2
    assert isinstance(results[1], RefusedDocument)
    assert "by_call" in results[1].reason


@pytest.mark.parametrize("keys", [{"keyPattern": {"eventId": 1}, "keyValue": {"eventId": "x"}}, {}])
async def test_a_duplicate_of_another_index_is_recognized_by_key_pattern_or_text(
    forged: Store, proxy: ForgingProxy, keys: dict[str, Any]
) -> None:
    text = 'E11000 duplicate key error collection: t.events index: eventId_1 dup key: { eventId: "x" }'
    proxy.forge("insert", write_error(0, 11000, text, **keys))
    async with asyncio.timeout(2):
        with pytest.raises(RefusedDocument, match="eventId_1"):
            await append(forged, "s", 1)


async def test_a_position_reported_as_taken_but_empty_is_tried_again_with_pauses(
    forged: Store, proxy: ForgingProxy
) -> None:
    """Another session goes on meanwhile. The waiting one tries a few times a second, and succeeds in the end."""
    text = 'E11000 duplicate key error collection: t.events index: _id_ dup key: { _id: "s/0000000001" }'

    proxy.forge("insert", failing_for("s", 11000, text, keyPattern={"_id": 1}))
    waiting = asyncio.create_task(append(forged, "s", 1))
    for seq in range(1, 6):
        assert await append(forged, "other", seq) == 1
    await asyncio.sleep(1.0)
    assert not waiting.done()
    assert len(proxy.commands("find")) < 10
    proxy.forge("insert", None)
    async with asyncio.timeout(5):
        assert await waiting == 1


async def test_an_unknown_error_is_blamed_on_the_event_if_others_are_stored_meanwhile(
    forged: Store, proxy: ForgingProxy
) -> None:
    proxy.forge("insert", failing_for("bad", 31999, "a plugin says no"))
    bad = asyncio.create_task(append(forged, "bad", 1))
    seq = 0
    async with asyncio.timeout(10):
        while not bad.done():
            seq += 1
            assert await append(forged, "good", seq) == 1
            await asyncio.sleep(0.02)
    with pytest.raises(RefusedDocument, match="a plugin says no"):
        await bad


async def test_a_shard_that_is_away_delays_only_its_own_sessions(forged: Store, proxy: ForgingProxy) -> None:
    proxy.forge("insert", failing_for("far", 133, "no primary for this shard"))
    far = asyncio.create_task(append(forged, "far", 1))
    for seq in range(1, 20):
        async with asyncio.timeout(2):
            assert await append(forged, "near", seq) == 1
    assert not far.done()
    proxy.forge("insert", None)
    async with asyncio.timeout(5):
        assert await far == 1


async def test_events_an_old_router_reports_as_stored_before_an_error_are_read_back(
    forged: Store, proxy: ForgingProxy, database_uri: str, database_name: str
) -> None:
    """Of 24 sessions in one insert, the router says 8 are stored and the next is taken. Neither is true."""
    names = [f"s{number:02d}" for number in range(24)]
    lies = 0

    def lie(command: dict[str, Any]) -> dict[str, Any] | None:
        nonlocal lies
        if len(command["documents"]) < 24 or lies:
            return None
        lies += 1
        return write_error(8, 11000, "E11000 duplicate key error index: _id_ dup key", keyPattern={"_id": 1})

    await append(forged, "warm-up", 1)
    proxy.forge("insert", lie)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*(append(forged, name, 1) for name in names)) == [1] * 24
    assert lies == 1
    for name in names:
        assert [event.event_id for event in await forged.events.read(name, 1, 1)] == [f"{name}-e1"]


async def test_a_foreign_event_at_a_position_reported_as_ours_counts_as_taken(
    forged: Store, proxy: ForgingProxy, store: Store
) -> None:
    """Our event was rolled back and another gateway wrote there; the router has reported neither."""

    def lie(command: dict[str, Any]) -> dict[str, Any] | None:
        if len(command["documents"]) != 2:
            return None
        return write_error(1, 11000, "E11000 duplicate key error index: _id_ dup key", keyPattern={"_id": 1})

    theirs = event_documents("a", [(1, EventIn("theirs", "system", {}, START))])
    await store.events.append("a", theirs, 10)
    proxy.forge("insert", lie)
    async with asyncio.timeout(5):
        appended, _ = await asyncio.gather(forged.events.append("a", documents("a", 1, 1), 10), append(forged, "b", 1))
    assert (appended.stored, appended.unsure) == (0, True)


# --- session documents -----------------------------------------------------------------------------------------------


def record(session_id: str, **fields: Any) -> SessionRecord:
    return SessionRecord(session_id, fields.pop("language", "en"), START, **fields)


async def test_a_session_that_a_validator_forbids_is_the_only_one_refused(
    store: Store, database_uri: str, database_name: str
) -> None:
    await administer(database_uri, database_name, {"collMod": "sessions", "validator": {"language": "en"}})
    some = [record("a"), record("bad", language="fr"), record("b"), record("bad2", language="xx")]
    results = await asyncio.gather(*(store.sessions.create(each) for each in some), return_exceptions=True)
    assert (results[0], results[2]) == (True, True)
    for result in (results[1], results[3]):
        assert isinstance(result, RefusedSession)
        assert result.code.facts.status == 400
        assert "failed validation" in result.message


async def test_a_session_whose_metadata_bson_cannot_hold_is_the_only_one_refused(store: Store) -> None:
    some = [record("a"), record("bad", metadata={"n": 2**70}), record("b")]
    results = await asyncio.gather(*(store.sessions.create(each) for each in some), return_exceptions=True)
    assert (results[0], results[2]) == (True, True)
    assert isinstance(results[1], RefusedSession)


async def test_an_end_that_a_validator_forbids_is_the_only_one_refused(
    store: Store, database_uri: str, database_name: str
) -> None:
    some = [record(f"s{number}") for number in range(4)]
    await asyncio.gather(*(store.sessions.create(each) for each in some))
    await administer(
        database_uri, database_name, {"collMod": "sessions", "validator": {"endReason": {"$ne": "forbidden"}}}
    )
    later = START + timedelta(minutes=1)
    ends = [
        store.sessions.end(each, "completed", later, "forbidden" if number == 2 else None)
        for number, each in enumerate(some)
    ]
    results = await asyncio.gather(*ends, return_exceptions=True)
    assert [results[0], results[1], results[3]] == [True] * 3
    assert isinstance(results[2], RefusedSession)
    stored = await store.sessions.load("s2")
    assert stored is not None
    assert stored.ended_at is None


async def test_lazy_fields_that_a_validator_forbids_do_not_fail_others(
    store: Store, database_uri: str, database_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    some = [record(f"s{number}") for number in range(4)]
    await asyncio.gather(*(store.sessions.create(each) for each in some))
    await administer(database_uri, database_name, {"collMod": "sessions", "validator": {"lastSeq": {"$lt": 10}}})
    for number, each in enumerate(some):
        each.last_seq, each.last_event_at = 8 + number, START
    with caplog.at_level(logging.ERROR):
        assert await store.sessions.save_lazy_fields(some) == {}
    loaded = [await store.sessions.load(each.session_id) for each in some]
    assert [each.last_seq for each in loaded if each is not None] == [8, 9, 0, 0]
    assert "session 's2' is refused" in caplog.text


async def test_a_digest_page_that_is_refused_is_left_out(
    store: Store, database_uri: str, database_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    await require_field(database_uri, database_name, "digests", {"sessionId": {"$ne": "bad"}})
    await store.events.digests.save("bad", 0, b"i", b"t")
    await store.events.digests.save("good", 0, b"i", b"t")
    assert await store.events.digests.load("bad", 1000) == []
    assert await store.events.digests.load("good", 1000) == [(b"i", b"t")]
    assert "refuses digest page" in caplog.text
