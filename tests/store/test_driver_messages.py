"""Requests that are encoded in parts, and replies that are recognized: both as the driver itself would have them."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson.codec_options import DEFAULT_CODEC_OPTIONS
from bson.errors import InvalidDocument
from bson.timestamp import Timestamp
from pymongo import message
from pymongo.server_api import ServerApi

from tests.support.played_database import PlayedDatabase
from turnwire.store.driver.replies import PlainReplies
from turnwire.store.driver.requests import RequestEncoder

TIME = {"clusterTime": Timestamp(8, 1), "signature": {"hash": b"", "keyId": 0}}


def insert(*names: object) -> dict[str, Any]:
    concern = {"w": "majority", "j": True}
    return {
        "insert": "things",
        "documents": [{"_id": name} for name in names],
        "ordered": True,
        "writeConcern": concern,
    }


def reply(counter: int = 1, seconds: int = 8, **more: Any) -> bytearray:
    time = Timestamp(seconds, counter)
    return bytearray(bytes(5) + bson.encode({"n": 1, "ok": 1.0, "operationTime": time, **more}))


def kept(replies: PlainReplies, reply: bytearray) -> dict[str, Any]:
    """Teach a reply. Return its document."""
    document: dict[str, Any] = bson.decode(reply[5:])
    replies.keep(reply, document)
    return document


@pytest.mark.parametrize("options", [{}, {"timeoutMS": 3000}, {"server_api": ServerApi("1"), "timeoutMS": 3000}])
@pytest.mark.parametrize("count", [0, 1, 8, 9])
async def test_a_request_has_the_bytes_that_the_driver_would_send(options: dict[str, Any], count: int) -> None:
    database = PlayedDatabase(**options)
    with database.pool.checkout() as connection:
        encoder = RequestEncoder(database.client, connection, "played")
        for newest in (None, TIME, TIME, {**TIME, "clusterTime": Timestamp(9, 1)}):
            if newest is not None:
                database.client._topology.receive_cluster_time(newest)
            command = insert(*range(count))
            request, encoded = encoder.encode(command)
            assert command["documents"] == [{"_id": number} for number in range(count)]
            expected = {name: value for name, value in command.items() if name not in ("maxTimeMS", "$db")}
            connection.add_server_api(expected)
            connection.send_cluster_time(expected, None, database.client)
            if encoder.limit:
                expected["maxTimeMS"] = 3000
            _, plain, _, _ = message._op_msg(0, expected, "played", None, DEFAULT_CODEC_OPTIONS)
            assert encoded[8:] == plain[8:]
            assert int.from_bytes(encoded[:4], "little") == len(encoded)
            assert int.from_bytes(encoded[4:8], "little") == request
    database.close()


async def test_a_document_that_cannot_be_encoded_spoils_nothing() -> None:
    database = PlayedDatabase()
    with database.pool.checkout() as connection:
        encoder = RequestEncoder(database.client, connection, "played")
        command = insert(object())
        with pytest.raises(InvalidDocument):
            encoder.encode(command)
        assert len(command["documents"]) == 1
        assert encoder.encode(insert(1))[0] != encoder.encode(insert(1))[0]
    database.close()


def test_a_plain_reply_is_recognized_whatever_the_counters_of_its_times() -> None:
    replies = PlainReplies()
    document = kept(replies, reply())
    assert replies.find(reply(counter=7)) is document
    for other in (reply(seconds=9), reply(n=2), reply(ok=0.0), reply(more=1), reply()[:-1], bytearray()):
        assert replies.find(other) is None


@pytest.mark.parametrize("more", [{"writeErrors": []}, {"writeConcernError": {}}, {"errmsg": "x" * 2000}])
def test_a_reply_that_says_more_is_read_each_time(more: dict[str, Any]) -> None:
    replies = PlainReplies()
    kept(replies, reply(**more))
    assert replies.find(reply(**more)) is None


def test_replies_of_another_form_are_not_mistaken_for_known_ones() -> None:
    replies = PlainReplies()
    kept(replies, reply())
    longer = reply(opTime={"ts": Timestamp(8, 1), "t": 1})
    document = kept(replies, longer)
    assert replies.find(reply()) is None
    assert replies.find(longer) is document


def test_few_replies_are_kept() -> None:
    replies = PlainReplies()
    for seconds in range(200):
        kept(replies, reply(seconds=seconds))
    assert 0 < len(replies._known) <= 64


async def test_the_driver_learns_of_the_time_of_a_reply_once_a_second() -> None:
    database = PlayedDatabase(timeoutMS=10_000)
    end = await database.hold()
    told = []
    for seconds, counter in ((8, 1), (8, 2), (9, 1)):
        done = database.commands(insert(counter))
        end.reply({"n": 1, "ok": 1.0, "$clusterTime": {**TIME, "clusterTime": Timestamp(seconds, counter)}})
        assert (await done)["n"] == 1
        newest = database.client._topology.max_cluster_time()
        told.append(newest and newest["clusterTime"])
    assert told == [Timestamp(8, 1), Timestamp(8, 1), Timestamp(9, 1)]
    database.close()
