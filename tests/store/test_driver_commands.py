"""Write commands that go to the driver directly: what reaches the database, and which server gets it after trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest
from bson.errors import InvalidDocument
from pymongo.errors import NotPrimaryError, PyMongoError
from pymongo.monitoring import CommandListener

from tests.support.failpoints import NOT_PRIMARY, failing
from turnwire.store.driver.commands import WriteCommands

Client = pymongo.MongoClient[dict[str, Any]]


class Sent(CommandListener):
    """The inserts that a client has sent."""

    def __init__(self) -> None:
        self.inserts: list[dict[str, Any]] = []

    def started(self, event: Any) -> None:
        if event.command_name == "insert":
            self.inserts.append(dict(event.command))

    def succeeded(self, event: Any) -> None:
        """What was sent is enough."""

    def failed(self, event: Any) -> None:
        """What was sent is enough."""


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def client(database_uri: str, sent: Sent) -> Iterator[Client]:
    with Client(database_uri, appname="turnwire", timeoutMS=10_000, event_listeners=[sent]) as client:
        yield client


def commands_of(client: Client, database: str) -> WriteCommands:
    loop = asyncio.get_running_loop()
    return WriteCommands(client, database, lambda run, *args: loop.run_in_executor(None, run, *args))


def insert(*names: object) -> dict[str, Any]:
    return {"insert": "things", "documents": [{"_id": name} for name in names], "ordered": True}


async def test_a_command_is_sent_without_a_session_and_with_a_time_limit(
    client: Client, database_name: str, sent: Sent
) -> None:
    reply = await commands_of(client, database_name)(insert("a", "b"))
    assert reply["n"] == 2
    [command] = sent.inserts
    assert 0 < command["maxTimeMS"] <= 10_000
    assert "lsid" not in command


async def test_the_error_of_a_single_write_is_in_the_reply(client: Client, database_name: str) -> None:
    run = commands_of(client, database_name)
    reply = await run(insert("a", "a", "b"))
    assert [error["index"] for error in reply["writeErrors"]] == [1]


async def test_a_document_that_bson_cannot_hold_is_an_error_and_the_next_command_works(
    client: Client, database_name: str
) -> None:
    run = commands_of(client, database_name)
    with pytest.raises(InvalidDocument):
        await run(insert(object()))
    assert (await run(insert("a")))["n"] == 1


@pytest.mark.parametrize("how", [{"errorCode": NOT_PRIMARY}, {"closeConnection": True}])
async def test_after_trouble_the_primary_is_looked_for_again(
    client: Client, database_name: str, database_uri: str, how: dict[str, Any]
) -> None:
    run = commands_of(client, database_name)
    await run(insert("a"))
    async with failing(database_uri, "insert", times=1, **how):
        with pytest.raises(PyMongoError) as error:
            await run(insert("b"))
    assert isinstance(error.value, NotPrimaryError) == ("errorCode" in how)
    assert (await run(insert("c")))["n"] == 1


async def test_a_server_that_the_driver_no_longer_takes_for_the_primary_gets_no_command(
    client: Client, database_name: str, sent: Sent
) -> None:
    run = commands_of(client, database_name)
    await run(insert("a"))
    client.close()
    with pytest.raises(PyMongoError):
        await run(insert("b"))
    assert len(sent.inserts) == 1
