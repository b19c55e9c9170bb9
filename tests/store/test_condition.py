"""A database that refuses differs from one that is away: the store reports why, once, and recovers when mended."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo import MongoClient

from tests.store.test_event_log import append
from tests.support.failpoints import failing
from tests.support.forging_proxy import ForgingProxy, failure
from turnwire.protocol.errors import StorageRefused, StorageUnavailable
from turnwire.store import condition as store_condition
from turnwire.store import mongo as store_mongo
from turnwire.store.condition import DatabaseCondition
from turnwire.store.mongo import Store
from turnwire.store.opening.server_check import unfit
from turnwire.store.sessions import SessionQuery


def answering(proxy: ForgingProxy, *, version: str | None = None, **hello: Any) -> None:
    """Make the server report this version, and these other facts."""
    if version is not None:
        proxy.alter("buildInfo", lambda _, answer: answer.update(version=version))
    proxy.alter("hello", lambda _, answer: answer.update(hello))


@pytest.mark.parametrize(
    ("version", "hello", "says"),
    [
        ("4.2.24", {}, "4.4 or later"),
        ("5.0.29", {"msg": "isdbgrid"}, "mongos"),
        ("6.0.13", {"msg": "isdbgrid"}, "mongos"),
        ("7.0.5", {"msg": "isdbgrid"}, "mongos"),
        ("4.4.29", {"msg": "isdbgrid"}, "mongos"),
        ("8.0.0", {"readOnly": True}, "read-only"),
        ("8.0.0", {"secondary": True}, "directConnection"),
    ],
)
async def test_an_unsuitable_server_is_reported_with_the_remedy(
    forged: Store, proxy: ForgingProxy, version: str, hello: dict[str, Any], says: str
) -> None:
    answering(proxy, version=version, **hello)
    with pytest.raises(StorageRefused) as refused:
        await forged.prepare()
    assert says in refused.value.reason
    state = await forged.state()
    assert not state.up
    assert state.reason is not None
    assert says in state.reason
    answering(proxy, version="8.0.0", readOnly=False, secondary=False, msg="")
    await forged.prepare()
    assert (await forged.state()).up


@pytest.mark.parametrize(
    ("version", "hello"),
    [
        ("4.4.0", {}),
        ("5.0.30", {"msg": "isdbgrid"}),
        ("6.0.14", {"msg": "isdbgrid"}),
        ("7.0.6-rc1", {"msg": "isdbgrid"}),
        ("8.0.0", {"msg": "isdbgrid"}),
        ("10.2.1", {}),
    ],
)
def test_suitable_servers_are_accepted(version: str, hello: dict[str, Any]) -> None:
    assert unfit(hello, version) is None


async def test_a_conflicting_index_is_reported(store: Store, database_uri: str, database_name: str) -> None:
    def make_conflict() -> None:
        with MongoClient[dict[str, Any]](database_uri, timeoutMS=10_000) as client:
            sessions = client[database_name]["sessions"]
            sessions.drop_indexes()
            sessions.create_index([("startedAt", 1), ("_id", 1)], unique=True)

    await asyncio.to_thread(make_conflict)
    with pytest.raises(StorageRefused, match="operator") as refused:
        await store.prepare()
    assert "index" in refused.value.reason
    assert "IndexKeySpecsConflict" in refused.value.reason


@pytest.mark.parametrize(
    ("code", "says"), [(13, "readWrite"), (18, "credentials"), (59, "lacks a command"), (371, "blocked")]
)
async def test_refused_writes_are_reported_and_stored_once_the_database_is_repaired(
    forged: Store, proxy: ForgingProxy, code: int, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    await forged.prepare()
    assert (await forged.state()).up
    proxy.forge("insert", failure(code, "Forged", "not authorized to execute command { insert: secret }"))
    with caplog.at_level(logging.WARNING):
        waiting = asyncio.create_task(append(forged, "s", 1))
        while not forged.events.troubles and (await forged.state()).up:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        state = await forged.state()
        assert not state.up
        assert state.reason is not None
        assert says in state.reason
        assert await forged.ping()
        refusals = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert len(refusals) == 1
        assert says in refusals[0].getMessage()
        assert "secret" not in refusals[0].getMessage() + state.reason
        proxy.forge("insert", None)
        async with asyncio.timeout(5):
            assert await waiting == 1
    assert (await forged.state()).up


def test_a_refusal_is_logged_at_once_and_each_minute_while_it_lasts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(store_condition, "time", SimpleNamespace(monotonic=lambda: clock.now))
    condition = DatabaseCondition()
    for after, lines in ((0, 1), (30, 1), (29, 1), (1, 2), (59, 2), (61, 3)):
        clock.now += after
        condition.refused("store events", "no permission")
        assert len(caplog.records) == lines
    condition.well("store events")
    condition.refused("store events", "no permission")  # a new one, whenever the last was told
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 3 + ["WARNING", "ERROR"]


async def test_refused_reads_are_explained_to_operators_and_not_to_clients(store: Store, database_uri: str) -> None:
    async with failing(database_uri, "find", errorCode=13):
        with pytest.raises(StorageRefused) as refused:
            await store.sessions.page(SessionQuery(limit=1))
    assert "readWrite" in refused.value.reason
    assert "readWrite" not in refused.value.message
    assert not (await store.state()).up
    await store.sessions.page(SessionQuery(limit=1))
    assert (await store.state()).up


async def test_wrong_credentials_are_the_reason_although_a_ping_gets_no_answer_in_time(
    database_uri: str, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver uses a server that has rejected the credentials only after its next heartbeat."""
    monkeypatch.setattr(store_mongo, "PING_SECONDS", 0.01)
    store = Store.connect(database_uri.replace("@", "-wrong@", 1), database_name)
    try:
        with pytest.raises(StorageRefused):
            await store.prepare()
        state = await store.state()
        assert not state.up
        assert "rejects the credentials" in str(state.refusal)
    finally:
        await store.close()


async def test_a_busy_database_that_answers_others_before_a_ping_is_up(
    store: Store, database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All gateways share it: were it down to them, a balancer would leave all of them."""
    monkeypatch.setattr("turnwire.store.mongo.PING_SECONDS", 0.3)
    async with failing(database_uri, "ping", blockConnection=True, blockTimeMS=1_000):
        assert not (await store.state()).up
        asked = asyncio.create_task(store.state())
        await asyncio.sleep(0)  # the ping is under way
        assert await append(store, "busy", 1) == 1
        assert (await asked).up


@pytest.mark.slow
async def test_a_database_that_is_away_is_down_and_not_reported_as_refusing(
    database_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    uri = "mongodb://user:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=100&timeoutMS=200"
    store = Store.connect(uri, database_name)
    try:
        with pytest.raises(StorageUnavailable) as away:
            await store.prepare()
        assert not isinstance(away.value, StorageRefused)
        state = await store.state()
        assert (state.up, state.reason) == (False, "the database does not answer")
        assert "hunter2" not in caplog.text
    finally:
        await store.close()


async def test_a_store_is_not_up_before_its_indexes_exist(forged: Store) -> None:
    assert await forged.ping()
    state = await forged.state()
    assert (state.up, state.reason) == (False, "the indexes have not been made yet")


async def test_a_mongodb_gets_the_indexes_for_finding_past_calls(
    forged: Store, proxy: ForgingProxy, database_uri: str, database_name: str
) -> None:
    proxy.alter("buildInfo", lambda _, answer: answer.pop("secantusVersion"))
    forged.sessions.indexes.metadata_keys = ("customerId",)
    await forged.prepare()
    client: MongoClient[dict[str, Any]] = MongoClient(database_uri)
    found = client[database_name]["sessions"].index_information().values()
    indexed = {tuple(name for name, _ in index["key"]) for index in found}
    client.close()
    for field in ("endReason", "language", "metadata.customerId"):
        assert (field, "startedAt", "_id") in indexed
    for field in ("figures.errors", "figures.toolsFailed"):
        assert ("startedAt", "_id", field) in indexed
    assert {
        ("endedAt",),
        ("startedAt", "_id", "figures.errors"),
        ("startedAt", "_id", "figures.toolsFailed"),
    } <= indexed
