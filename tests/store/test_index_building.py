"""Indexes of sessions on a database that has many sessions already."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.support.failpoints import failing
from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.mongo import Store

BY_STATUS = "status_1_startedAt_1__id_1"
INCOMPLETE: dict[str, Any] = {"_id": "indexes", "run": "an earlier one", "names": [BY_STATUS, "gone_1"]}


async def test_indexes_take_as_long_as_the_database_needs(database_uri: str, database_name: str) -> None:
    store = Store.connect(f"{database_uri}&timeoutMS=800", database_name)
    async with failing(database_uri, "createIndexes", times=1, blockConnection=True, blockTimeMS=1000):
        await store.prepare()
    await store.close()


async def test_an_index_that_a_dead_server_left_incomplete_is_made_again(database_uri: str, database_name: str) -> None:
    store = Store.connect(database_uri, database_name)
    sessions, notes = store._db["sessions"], store._db["turnwire"]
    await sessions.insert_one({"_id": "s", "status": "failed"})
    await sessions.create_index("nothing", name=BY_STATUS)
    await notes.insert_one(INCOMPLETE)
    await store.prepare()
    assert (await sessions.index_information())[BY_STATUS]["key"] == [("status", 1), ("startedAt", 1), ("_id", 1)]
    assert await notes.find_one({"_id": "indexes"}) is None
    await store.close()


async def test_an_index_that_is_being_made_is_noted_and_reported(
    database_uri: str, database_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "turnwire.store")
    store = Store.connect(database_uri, database_name)
    await store._db["sessions"].insert_one({"_id": "s", "status": "failed"})
    async with failing(database_uri, "createIndexes", times=1, errorCode=1):
        with pytest.raises(StorageUnavailable):
            await store.prepare()
    note = await store._db["turnwire"].find_one({"_id": "indexes"})
    assert sorted(note["names"]) == ["startedAt_1__id_1", BY_STATUS]
    assert "the database makes indexes of sessions, and answers nothing until they are made" in caplog.text
    await store.prepare()
    assert await store._db["turnwire"].find_one({"_id": "indexes"}) is None
    caplog.clear()
    await store.prepare()
    assert caplog.text == ""
    await store.close()
