"""What goes over a connection that the event loop holds, with replies as no database should send them, or as a network
may: none is taken for an answer that it is not."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator

import pytest
from bson.errors import InvalidBSON
from bson.timestamp import Timestamp
from pymongo.errors import AutoReconnect, NetworkTimeout, ProtocolError
from pymongo.server_api import ServerApi

from tests.support.played_database import PlayedDatabase, PlayedEnd, insert, message_of
from turnwire.store.driver.held_connection import HeldConnection

OK = {"ok": 1.0, "n": 1}


@pytest.fixture
async def database() -> AsyncIterator[PlayedDatabase]:
    database = PlayedDatabase(timeoutMS=10_000)
    yield database
    database.close()


def held_by(database: PlayedDatabase) -> HeldConnection:
    [held] = database.commands._held
    return held


def asked_of(end: PlayedEnd) -> int:
    """Return the id of the only request."""
    end.receive()
    [(request, _)] = end.requests
    return request


async def test_a_reply_may_come_in_pieces_of_one_byte(database: PlayedDatabase) -> None:
    end = await database.hold()
    done = database.commands(insert(1))
    for piece in message_of(OK, to=asked_of(end)):
        assert not done.done()
        end.send(bytes([piece]))
        await database.settle()
    assert await done == OK


@pytest.mark.parametrize(
    ("reply", "head"),
    [
        (OK, {"to": 5}),
        (OK, {"code": 2012}),
        (OK, {"code": 1}),
        (OK, {"length": 0}),
        (OK, {"length": 16}),
        (OK, {"length": 20}),
        (OK, {"length": -1}),
        (OK, {"length": 2**31 - 1}),
        (OK, {"flags": 1}),
        (OK, {"flags": 1 << 16}),
        ({"ok": 0}, {}),
    ],
)
async def test_a_reply_that_cannot_be_read_leaves_the_outcome_unknown(
    database: PlayedDatabase, reply: dict[str, object], head: dict[str, int]
) -> None:
    """Not an error that would say that the document is at fault."""
    end = await database.hold()
    done = database.commands(insert(1))
    end.send(message_of(reply, **{"to": asked_of(end), **head}))
    await database.settle()
    with pytest.raises(ProtocolError):
        await done
    assert (database.pool.active_sockets, len(database.pool.conns)) == (0, 0)


@pytest.mark.parametrize(
    "garble",
    [
        lambda reply: reply + b"\0",
        lambda reply: reply + reply,
        lambda reply: reply[:21] + bytes(len(reply) - 21),
        lambda reply: b"\x10\0\0\0" + reply[4:16],
    ],
)
async def test_a_garbled_reply_leaves_the_outcome_unknown(database: PlayedDatabase, garble: object) -> None:
    assert callable(garble)
    end = await database.hold()
    done = database.commands(insert(1))
    end.send(garble(message_of(OK, to=asked_of(end))))
    await database.settle()
    with pytest.raises(ProtocolError):
        await done
    assert database.pool.active_sockets == 0


@pytest.mark.parametrize("fault", [InvalidBSON(), KeyError("errmsg"), struct.error()])
async def test_in_a_thread_too_a_reply_that_cannot_be_read_leaves_the_outcome_unknown(
    database: PlayedDatabase, fault: Exception
) -> None:
    database.fault_in_thread = fault
    done = database.commands(insert(1))
    await database.settle()
    with pytest.raises(ProtocolError):
        await done
    assert database.pool.active_sockets == 0


async def test_what_follows_a_reply_spoils_only_the_connection(database: PlayedDatabase) -> None:
    end = await database.hold()
    done = database.commands(insert(1))
    request = asked_of(end)
    end.send(message_of(OK, to=request, flags=2))
    assert await done == OK
    end.send(message_of(OK, to=request))
    await database.settle()
    assert not database.commands._held
    assert database.pool.active_sockets == 0


async def test_a_reply_that_comes_before_the_whole_command_is_sent_does_not_count(database: PlayedDatabase) -> None:
    end = await database.hold()
    done = database.commands(insert(1, text="x" * 8_000_000))
    end.send(message_of(OK, to=held_by(database)._request))
    await database.settle()
    with pytest.raises(ProtocolError):
        await done


async def test_a_command_that_was_sent_is_not_kept_in_memory(database: PlayedDatabase) -> None:
    end = await database.hold()
    held = held_by(database)
    done = database.commands(insert(1, text="x" * 1_000_000))
    while held._unsent:
        end.receive()
        await asyncio.sleep(0)
    end.reply(OK)
    await done
    assert held._unsent.obj == b""


async def test_a_connection_that_ends_without_a_command_counts_as_a_trouble_and_the_server_stays_known(
    database: PlayedDatabase,
) -> None:
    end = await database.hold()
    end.close()
    await database.settle()
    assert not database.commands._held
    assert database.pool.active_sockets == 0
    assert (len(database.losses), database.judged) == (1, [])
    done = database.commands(insert(1))
    await database.settle()
    await done


async def test_a_connection_that_ends_in_a_command_is_judged_by_the_driver(database: PlayedDatabase) -> None:
    end = await database.hold()
    done = database.commands(insert(1))
    end.close()
    await database.settle()
    with pytest.raises(AutoReconnect):
        await done
    assert (database.losses, database.judged) == ([], [done.exception()])


async def test_without_a_time_limit_a_command_may_take_for_ever() -> None:
    database = PlayedDatabase(timeoutMS=0)
    end = await database.hold()
    done = database.commands(insert(1))
    look = database.commands._look
    assert look is not None
    assert look.when() > asyncio.get_running_loop().time() + 0.1, "the looks do not follow each other at once"
    held_by(database).look(asyncio.get_running_loop().time() + 1e9)
    end.receive()
    assert "maxTimeMS" not in end.requests[0][1]
    end.reply(OK)
    assert await done == OK
    database.close()


async def test_the_sockets_time_limit_counts_if_there_is_no_other() -> None:
    database = PlayedDatabase(timeoutMS=0, socketTimeoutMS=5000)
    await database.hold()
    done = database.commands(insert(1))
    held, now = held_by(database), asyncio.get_running_loop().time()
    held.look(now + 4.9)
    assert held.is_busy
    held.look(now + 5.1)
    await database.settle()
    with pytest.raises(NetworkTimeout):
        await done
    database.close()


async def test_the_latest_cluster_time_and_the_version_of_the_api_go_with_each_command() -> None:
    database = PlayedDatabase(server_api=ServerApi("1"))
    end = await database.hold()
    latest = {"clusterTime": Timestamp(8, 1), "signature": {"hash": b"", "keyId": 0}}
    for name, sent in ((1, None), (2, latest)):
        done = database.commands(insert(name))
        end.receive()
        assert end.requests[0][1]["apiVersion"] == "1"
        assert end.requests[0][1].get("$clusterTime") == sent
        end.reply({**OK, "$clusterTime": latest})
        await done
    database.close()


async def test_a_server_that_is_no_longer_the_primary_gets_no_command(database: PlayedDatabase) -> None:
    end = await database.hold()
    database.description.is_writable = False
    database.commands(insert(1))
    end.receive()
    assert (end.requests, database.pool.active_sockets, len(database.jobs)) == ([], 0, 1)


@pytest.mark.parametrize("limit", [None, 5.0])
async def test_a_socket_that_is_given_back_waits_as_long_as_the_driver_has_it_wait(limit: float | None) -> None:
    database = PlayedDatabase(**({} if limit is None else {"socketTimeoutMS": limit * 1000}))
    await database.hold()
    [held] = database.commands._held
    assert held._socket.gettimeout() == 0.0
    held.used = False
    database.commands._look_at_all()
    with database.pool.checkout() as connection:
        assert connection.conn.get_conn is held._socket
        assert held._socket.gettimeout() == limit
        assert os.get_blocking(held._socket.fileno()) == (limit is None)
    database.close()
