"""Encodes the commands of one connection. What is the same in all of them is encoded once."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import bson
import pymongo
from bson.codec_options import DEFAULT_CODEC_OPTIONS
from pymongo import message

Document = dict[str, Any]

_HEAD: Final = struct.Struct("<iiii")
_SIZE: Final = struct.Struct("<i")
_FLAGS_AND_KIND: Final = bytes(5)
_DOCUMENTS: Final = b"documents\0"
_IDS: Final = 2**31
_FEW: Final = 8
"""The most documents of an insert that is encoded in parts. One by one, more would take longer than all at once."""


class RequestEncoder:
    """Encodes commands as the driver does, for commands without a session."""

    __slots__ = ("_connection", "_database", "_driver", "_head", "_known", "_last", "_most", "_times", "limit")

    def __init__(self, driver: pymongo.MongoClient[Document], connection: Any, database: str) -> None:
        self._driver = driver
        self._connection = connection
        self._database = database
        self.limit: float | None = driver.options.timeout
        """The seconds that a command may take by the client's options."""
        self._most = connection.max_bson_size + message._COMMAND_OVERHEAD
        self._last = 0
        """The id of the last request that was encoded in parts."""
        self._known: Document = {}
        """The last command that was encoded in parts, without its documents and what is added to each."""
        self._times: Document = {}
        """What was added to it that may change: the newest cluster time that the driver knows of."""
        self._head = b""
        """It, with what is added."""

    def encode(self, command: Document) -> tuple[int, bytes]:
        """Return the id and the bytes of a request. Raises what the driver's encoder raises."""
        documents = command.get("documents")
        if documents is not None and len(documents) <= _FEW:
            encoded = self._with_few(command, documents)
            if len(encoded) <= self._most:
                self._last = request = (self._last + 1) % _IDS
                return request, _HEAD.pack(len(encoded) + _HEAD.size, request, 0, message._OpMsg.OP_CODE) + encoded
        self._complete(command)
        request, encoded, size, _ = message._op_msg(0, command, self._database, None, DEFAULT_CODEC_OPTIONS)
        if size > self._most:
            message._raise_document_too_large(next(iter(command)), size, self._most)
        return request, encoded

    def _with_few(self, command: Document, documents: Sequence[Document]) -> bytes:
        """Return the sections of a request."""
        times: Document = {}
        self._connection.send_cluster_time(times, None, self._driver)
        del command["documents"]
        if command != self._known or times != self._times:
            complete = dict(command)
            self._complete(complete)
            head = _FLAGS_AND_KIND + bson.encode({**complete, "$db": self._database})
            self._known, self._times, self._head = dict(command), times, head
        command["documents"] = documents
        encoded = b"".join(map(bson.encode, documents))
        return b"".join((self._head, b"\1", _SIZE.pack(len(encoded) + 14), _DOCUMENTS, encoded))

    def _complete(self, command: Document) -> None:
        self._connection.add_server_api(command)
        self._connection.send_cluster_time(command, None, self._driver)
        if self.limit:
            command["maxTimeMS"] = int(self.limit * 1000)
