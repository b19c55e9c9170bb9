"""Commands on a connection that the event loop holds: whatever happens, they end as those in a thread do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pymongo
import pytest
from bson.errors import InvalidDocument
from pymongo.errors import (
    AutoReconnect,
    DocumentTooLarge,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
)
from pymongo.server_type import SERVER_TYPE

from tests.support.failpoints import NOT_PRIMARY, failing
from tests.support.proxy import DatabaseProxy
from tests.support.sockets import until
from turnwire.store.driver import commands
from turnwire.store.driver.commands import WriteCommands
from turnwire.store.driver.held_connection import can_be_held

Client = pymongo.MongoClient[dict[str, Any]]
Document = dict[str, Any]


class Held:
    """Commands of a client, with one connection held, and a count of those that ran in a thread instead."""

    def __init__(self, client: Client, database: str) -> None:
        self.client = client
        self.in_thread = 0
        self.run = WriteCommands(client, database, self._run_in_thread, most_held=1)

    def _run_in_thread(self, run: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        self.in_thread += run == self.run._run
        return asyncio.get_running_loop().run_in_executor(None, run, *args)

    async def hold(self) -> None:
        """Run a first command, whose connection is then held."""
        await self.run(insert("first"))
        await until(lambda: self.is_held, "a held connection")
        self.in_thread = 0

    @property
    def is_held(self) -> bool:
        return len(self.run._held) == 1

    @property
    def lent(self) -> int:
        """The connections that the driver has lent out."""
        [server] = self.client._topology._servers.values()
        return int(server.pool.active_sockets)


@asynccontextmanager
async def held_on(uri: str, database: str, **options: Any) -> AsyncIterator[Held]:
    client = Client(uri, **{"appname": "turnwire", "timeoutMS": 10_000, **options})
    held = Held(client, database)
    try:
        await held.hold()
        yield held
    finally:
        held.run.close()
        await asyncio.to_thread(client.close)


@pytest.fixture
async def held(database_uri: str, database_name: str) -> AsyncIterator[Held]:
    async with held_on(database_uri, database_name) as held:
        yield held


def insert(*names: object, **more: object) -> Document:
    return {"insert": "things", "documents": [{"_id": name, **more} for name in names], "ordered": True}


async def test_the_next_commands_need_no_thread(held: Held, database_name: str) -> None:
    for name in "abc":
        assert (await held.run(insert(name)))["n"] == 1
    assert held.in_thread == 0
    stored = await asyncio.to_thread(held.client[database_name]["things"].distinct, "_id")
    assert sorted(stored) == ["a", "b", "c", "first"]


async def test_a_command_beside_the_one_under_way_runs_in_a_thread(held: Held) -> None:
    replies = await asyncio.gather(*(held.run(insert(name)) for name in "abc"))
    assert [reply["n"] for reply in replies] == [1, 1, 1]
    assert held.in_thread == 2


async def test_a_command_of_megabytes_arrives_whole(held: Held, database_name: str) -> None:
    assert (await held.run(insert("a", text="x" * 5_000_000)))["n"] == 1
    assert held.in_thread == 0
    found = await asyncio.to_thread(held.client[database_name]["things"].find_one, {"_id": "a"})
    assert found is not None
    assert len(found["text"]) == 5_000_000


async def test_errors_of_single_writes_are_in_the_reply(held: Held) -> None:
    reply = await held.run(insert("a", "a", "b"))
    assert [error["index"] for error in reply["writeErrors"]] == [1]
    assert held.in_thread == 0


@pytest.mark.parametrize(
    ("document", "error"), [({"_id": object()}, InvalidDocument), ({"_id": "x" * 17_000_000}, DocumentTooLarge)]
)
async def test_what_the_driver_cannot_send_is_an_error_and_the_connection_stays(
    held: Held, document: Document, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await held.run({"insert": "things", "documents": [document], "ordered": True})
    assert (await held.run(insert("a")))["n"] == 1
    assert held.in_thread == 0


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"errorCode": NOT_PRIMARY}, NotPrimaryError),
        ({"errorCode": 50}, OperationFailure),
        ({"closeConnection": True}, AutoReconnect),
    ],
)
async def test_after_an_error_the_driver_has_the_connection_back_and_the_next_command_works(
    held: Held, database_uri: str, how: dict[str, Any], error: type[Exception]
) -> None:
    async with failing(database_uri, "insert", times=1, **how):
        with pytest.raises(error):
            await held.run(insert("a"))
    assert (held.in_thread, held.lent) == (0, 0)
    assert (await held.run(insert("b")))["n"] == 1
    assert held.in_thread == 1
    await until(lambda: held.is_held, "a held connection")


async def test_a_command_that_takes_too_long_is_broken_off(database_uri: str, database_name: str) -> None:
    async with held_on(database_uri, database_name, timeoutMS=300) as held:
        async with failing(database_uri, "insert", times=1, blockConnection=True, blockTimeMS=1500):
            with pytest.raises(NetworkTimeout):
                await held.run(insert("a"))
        assert held.lent == 0


async def test_the_outcome_is_unknown_if_the_answer_is_lost(database_uri: str, database_name: str) -> None:
    async with DatabaseProxy(database_uri) as proxy, held_on(proxy.uri, database_name) as held:
        proxy.lose_answer_to("insert")
        with pytest.raises(AutoReconnect):
            await held.run(insert("a"))
        assert (proxy.lost, held.lent) == (1, 0)
        reply = await held.run(insert("a"))
        assert [error["code"] for error in reply["writeErrors"]] == [11_000], "it was carried out"


async def test_a_connection_that_breaks_while_it_is_idle_is_given_back(database_uri: str, database_name: str) -> None:
    async with DatabaseProxy(database_uri) as proxy, held_on(proxy.uri, database_name) as held:
        proxy.refuse(True)
        await until(lambda: not held.is_held and held.lent == 0, "the connection to be given back")
        proxy.refuse(False)
        assert (await held.run(insert("a")))["n"] == 1


async def test_a_connection_without_commands_is_given_back(
    database_uri: str, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_LOOK_SECONDS", 0.01)
    async with held_on(database_uri, database_name) as held:
        await until(lambda: not held.is_held, "the connection to be given back")
        assert held.lent == 0
        assert (await held.run(insert("a")))["n"] == 1


async def test_a_connection_from_before_trouble_with_its_server_gets_no_command(held: Held) -> None:
    [server] = held.client._topology._servers.values()
    await asyncio.to_thread(server.pool.reset_without_pause)
    assert (await held.run(insert("a")))["n"] == 1
    assert held.in_thread == 1


async def test_a_command_that_nobody_waits_for_any_more_keeps_its_connection_until_its_answer(held: Held) -> None:
    held.run(insert("a")).cancel()
    reply = await held.run(insert("b"))
    assert (reply["n"], held.in_thread) == (1, 1), "the first command is still under way"
    await until(lambda: len(held.run._idle) == 1, "its answer")
    assert (await held.run(insert("c")))["n"] == 1
    assert held.in_thread == 1


async def test_a_stop_breaks_off_the_command_under_way_and_gives_everything_back(held: Held) -> None:
    under_way = held.run(insert("a"))
    held.run.close()
    with pytest.raises(asyncio.CancelledError):
        await under_way
    assert held.lent == 0
    assert (await held.run(insert("b")))["n"] == 1
    assert not held.is_held


async def test_half_of_the_drivers_connections_are_held_at_most(database_uri: str, database_name: str) -> None:
    client = Client(database_uri, appname="turnwire", maxPoolSize=1)
    run = WriteCommands(
        client,
        database_name,
        lambda run, *args: asyncio.get_running_loop().run_in_executor(None, run, *args),
        most_held=2,
    )
    for name in "ab":
        await run(insert(name))
    assert not run._held
    await asyncio.to_thread(client.close)


class _Logged(pymongo.monitoring.CommandListener):
    def started(self, event: Any) -> None:
        """Nothing is expected of it."""

    succeeded = failed = started


async def test_what_only_the_driver_can_do_stays_with_the_driver(database_uri: str) -> None:
    """TLS, compression, routers, logins in between and listeners: see `can_be_held`."""
    with Client(database_uri, event_listeners=[_Logged()]) as client:
        server = client._select_server(lambda selection: selection, None, "insert")
        with client._checkout(server, None) as connection:
            assert not can_be_held(server, connection)
            assert server.description.server_type in (SERVER_TYPE.RSPrimary, SERVER_TYPE.Standalone)
