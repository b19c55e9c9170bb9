"""The private names of the driver that `store/driver` uses: each is there, and takes what it is given. A release that
changes one fails here by name."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson.codec_options import DEFAULT_CODEC_OPTIONS
from pymongo import errors, helpers_shared, message
from pymongo.server_description import ServerDescription
from pymongo.server_selectors import writable_server_selector
from pymongo.synchronous.pool import Connection
from pymongo.synchronous.server import Server

import turnwire.store.driver
from tests.support.played_database import PlayedDatabase

CALLS: dict[str, tuple[Callable[..., Any], tuple[object, ...], dict[str, object]]] = {
    "MongoClient._select_server": (pymongo.MongoClient._select_server, (writable_server_selector, None, "insert"), {}),
    "MongoClient._checkout": (pymongo.MongoClient._checkout, ("server", None), {}),
    "MongoClient._process_response": (pymongo.MongoClient._process_response, ({}, None), {}),
    "Connection.command": (Connection.command, ("database", {}), {"client": None}),
    "Connection.add_server_api": (Connection.add_server_api, ({},), {}),
    "Connection.send_cluster_time": (Connection.send_cluster_time, ({}, None, "client"), {}),
    "Connection.set_conn_timeout": (Connection.set_conn_timeout, (0.0,), {}),
    "Connection.close_conn": (Connection.close_conn, (None,), {}),
    "Connection._raise_connection_failure": (Connection._raise_connection_failure, (OSError(),), {}),
}
"""Methods, and how they are called beside `self`."""
OF_A_CONNECTION = (
    "opts._credentials", "opts.socket_timeout", "listeners", "conn.get_conn", "compression_context", "pool_gen.stale",
    "generation", "service_id", "max_bson_size", "max_message_size", "max_wire_version", "cancel_context.cancelled",
)  # fmt: skip
OF_A_SERVER = ("is_writable", "server_type")
OF_MODULES: dict[str, object] = {
    "_op_msg": message._op_msg,
    "_COMMAND_OVERHEAD": message._COMMAND_OVERHEAD,
    "_raise_document_too_large": message._raise_document_too_large,
    "_OpMsg": message._OpMsg,
    "_check_command_response": helpers_shared._check_command_response,
    "_OperationCancelled": errors._OperationCancelled,
}


@pytest.mark.parametrize("name", CALLS)
def test_the_driver_can_be_called_as_the_store_calls_it(name: str) -> None:
    method, args, named = CALLS[name]
    inspect.signature(method).bind("self", *args, **named)


async def test_a_connection_and_a_server_have_these_attributes() -> None:
    database = PlayedDatabase()
    with database.pool.checkout() as connection:
        for name in OF_A_CONNECTION:
            attrgetter(name)(connection)
        assert isinstance(connection.cancel_context.cancelled, bool)
        assert connection.pool_gen.stale(connection.generation, connection.service_id) is False
    database.close()
    attrgetter(*OF_A_SERVER)(ServerDescription(("anywhere", 27017)))
    assert isinstance(inspect.getattr_static(Server, "description"), property)


def test_the_driver_makes_and_reads_messages_as_the_store_expects() -> None:
    command = {"insert": "things", "documents": [{}], "ordered": True}
    request, encoded, size, _ = message._op_msg(0, command, "database", None, DEFAULT_CODEC_OPTIONS)
    assert int.from_bytes(encoded[4:8], "little") == request
    assert 0 < size <= len(encoded)
    assert command["documents"] == [{}], "a command may be sent again"
    reply = bytes(4) + b"\0" + b"\5\0\0\0\0"
    assert message._OpMsg.unpack(memoryview(reply)).unpack_response() == [{}]
    assert message._OpMsg.OP_CODE == 2013
    with pytest.raises(errors.DocumentTooLarge):
        message._raise_document_too_large("insert", 2, 1)
    with pytest.raises(errors.NotPrimaryError):
        helpers_shared._check_command_response({"ok": 0, "errmsg": "", "code": 10107}, 21)
    assert issubclass(errors._OperationCancelled, errors.AutoReconnect)


def test_every_private_name_of_the_driver_in_use_is_checked() -> None:
    known = {part for name in (*CALLS, *OF_A_CONNECTION, *OF_MODULES) for part in name.split(".") if part[0] == "_"}
    used = {name for file in Path(*turnwire.store.driver.__path__).glob("*.py") for name in _private_names(file)}
    assert used == known


def _private_names(file: Path) -> Iterator[str]:
    """Yield private names that are imported, or attributes of anything other than `self`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if alias.name.startswith("_"))
        elif isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            yield from [node.attr] if node.attr.startswith("_") and not node.attr.startswith("__") else []
