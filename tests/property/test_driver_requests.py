"""Whatever commands come on one connection, and however the driver's knowledge changes between them: each is sent with
the bytes that the driver itself would send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson.binary import Binary
from bson.code import Code
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from bson.regex import Regex
from bson.son import SON
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from pymongo import message
from pymongo.errors import OperationFailure
from pymongo.server_api import ServerApi
from pymongo.synchronous.pool import Connection

from tests.property.wire_values import search
from tests.support.played_database import PlayedDatabase
from turnwire.store.driver.requests import RequestEncoder

Document = dict[str, Any]

_ODD = [
    {"x": 1, "_id": "not first"},
    {"_id": {"x": 1, "_id": 2}, "a": {"b": 1, "_id": 3}},
    SON([("b", 1), ("_id", 2)]),
    RawBSONDocument(bson.encode({"b": 1, "_id": 2})),
    {"_id": ObjectId("7fffffff0000000000000001"), "": None, "$set": {"a.b": 1}, "é": "\U0001f600\0"},
    {"_id": Int64(1), "big": 2**31, "small": -(2**63), "float": -0.0, "nan": float("nan")},
    {"_id": Binary(b"\0", 4), "time": Timestamp(1, 2), "date": datetime(1, 1, 1, tzinfo=UTC), "code": Code("x")},
    {"_id": Regex("a", "i"), "list": [[], {}, (1, 2)], "long": "x" * 70_000},
    {"_id": 1, "cannot": object()},
    {"_id": 1, "cannot": 2**64},
    {"_id": 1, "a\0b": 1},
    {"_id": 1, "cannot": "\ud800"},
]
_documents = st.lists(st.sampled_from(_ODD), max_size=10)
_more = st.sampled_from(
    [
        {"ordered": True, "writeConcern": {"w": "majority", "j": True}},
        {"ordered": True, "writeConcern": {"w": "majority", "j": True}},
        {"ordered": False, "writeConcern": {"w": 2}},
        {"ordered": True, "lsid": {"id": Binary(bytes(16), 4)}, "comment": "é"},
        {"ordered": True},
    ]
)
_times = st.none() | st.builds(  # several to a line, as a table
    lambda seconds, counter, key: {
        "clusterTime": Timestamp(seconds, counter), "signature": {"hash": bytes(20), "keyId": key}
    },
    st.integers(1, 3), st.integers(0, 3), st.integers(0, 1),
)  # fmt: skip


class _Sent(OperationFailure):
    """Stops the driver before it waits for a reply, and leaves the connection open."""


def _as_the_driver(connection: Connection, database: str, command: Document, client: Any) -> bytes | type[Exception]:
    """Return the bytes that the driver sends, or what it raises."""
    sent = []

    def send(message: bytes, _: int) -> None:
        sent.append(message)
        raise _Sent("sent")

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection, "send_message", send)
            Connection.command(connection, database, command, client=client)
    except _Sent:
        return sent[0]
    except Exception as error:
        return type(error)
    raise AssertionError("the driver has neither sent nor raised anything")


def _encoded(encoder: RequestEncoder, command: Document) -> tuple[int, bytes] | type[Exception]:
    try:
        return encoder.encode(command)
    except Exception as error:
        return type(error)


@pytest.fixture(scope="module", params=[{}, {"server_api": ServerApi("1", strict=True)}], ids=["plain", "api"])
def played(request: pytest.FixtureRequest) -> Iterator[tuple[PlayedDatabase, Connection]]:
    async def begin() -> PlayedDatabase:
        return PlayedDatabase(**request.param)

    database = asyncio.run(begin())
    with database.pool.checkout() as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "close_conn", lambda _: None)  # nothing is sent, so nothing is broken
        yield database, connection
    database.close()


@search(150)
@given(
    steps=st.lists(st.tuples(_times, _documents, _more), min_size=2, max_size=5),
    name=st.sampled_from(["turnwire", "ü" * 20]),
)
def test_each_command_has_the_bytes_that_the_driver_would_send(
    played: tuple[PlayedDatabase, Connection], steps: list[tuple[Document | None, list[Any], Document]], name: str
) -> None:
    database, connection = played
    database.client._topology._max_cluster_time = None
    encoder, requests = RequestEncoder(database.client, connection, name), []
    for newest, documents, more in steps:
        command = {"insert": "events", "documents": documents, **more}
        database.client._topology.receive_cluster_time(newest)
        expected = _as_the_driver(connection, name, dict(command), database.client)
        actual = _encoded(encoder, dict(command))
        if isinstance(expected, bytes):
            assert isinstance(actual, tuple)
            request, encoded = actual
            assert encoded[8:] == expected[8:]
            assert (len(encoded), request) == tuple(memoryview(encoded)[:8].cast("i"))
            requests.append(request)
        else:
            assert actual is expected
    assert len(set(requests)) == len(requests)


def test_a_request_is_too_large_where_it_is_for_the_driver(played: tuple[PlayedDatabase, Connection]) -> None:
    database, connection = played
    command = {"insert": "events", "documents": [{"_id": 1, "text": "x" * 50_000}], "ordered": True}
    request = _as_the_driver(connection, "turnwire", dict(command), database.client)
    assert isinstance(request, bytes)
    verdicts = set()
    with pytest.MonkeyPatch.context() as patch:
        for least in range(len(request) - 40, len(request) + 10):
            patch.setattr(connection, "max_bson_size", least - message._COMMAND_OVERHEAD)
            expected = _as_the_driver(connection, "turnwire", dict(command), database.client)
            actual = _encoded(RequestEncoder(database.client, connection, "turnwire"), dict(command))
            assert (actual[1][8:] if isinstance(actual, tuple) else actual) == (
                expected[8:] if isinstance(expected, bytes) else expected
            )
            verdicts.add(isinstance(expected, bytes))
    assert verdicts == {True, False}
