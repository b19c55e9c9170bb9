"""A proxy between a gateway and its database that reads each command, and forges answers on demand."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

import bson

_HEADER = struct.Struct("<iiii")
_OP_MSG = 2013
_MORE_TO_COME = 2

Document = dict[str, Any]
Forge = Callable[[Document], Document | None]
"""Returns the answer to a command, which is then not carried out; or None to carry it out."""
Alter = Callable[[Document, Document], None]
"""May change the database's answer to a command."""


def write_error(index: int, code: int, errmsg: str, **more: Any) -> Document:
    return {"ok": 1, "n": index, "writeErrors": [{"index": index, "code": code, "errmsg": errmsg, **more}]}


def failure(code: int, name: str, errmsg: str = "forged") -> Document:
    return {"ok": 0, "code": code, "codeName": name, "errmsg": errmsg}


class ForgingProxy:
    """Carries connections to a database. Owned by the test's loop.

    A command is a document whose first field is the command's name. Documents that are sent beside it (`documents`,
    `updates`) are put into it.
    """

    def __init__(self, uri: str) -> None:
        self._target = urlsplit(uri)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._forges: dict[str, Forge] = {}
        self._alters: dict[str, Alter] = {}
        self.seen: list[Document] = []
        """All commands, in the order they came."""

    @property
    def uri(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        user = self._target.netloc.rpartition("@")[0]
        return f"mongodb://{user}@127.0.0.1:{port}/?directConnection=true&heartbeatFrequencyMS=500"

    def forge(self, command: str, how: Forge | Document | None) -> None:
        """From now on, answer these commands in this way; with None, as the database does."""
        self._forges[command] = how if callable(how) else lambda _: how

    def alter(self, command: str, how: Alter) -> None:
        """From now on, change the database's answers to these commands in this way."""
        self._alters[command] = how

    def commands(self, name: str) -> list[Document]:
        """Return the commands of this name so far."""
        return [command for command in self.seen if name in command]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._carrying)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        there = await asyncio.open_connection(self._target.hostname, self._target.port)
        ends = {writer, there[1]}
        self._writers |= ends
        try:
            with suppress(OSError, RuntimeError, asyncio.IncompleteReadError):  # uvloop raises RuntimeError when closed
                while True:
                    await self._exchange(reader, writer, there)
        finally:
            for end in ends:
                end.transport.abort()
            self._writers -= ends
            self._carrying.discard(task)

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Pass on one command and its answer, or several answers."""
        request = await _message(reader)
        command = _command(request)
        if command is not None:
            self.seen.append(command)
            forge = self._forges.get(next(iter(command)))
            forged = None if forge is None else forge(command)
            if forged is not None:
                writer.write(_reply(forged, _HEADER.unpack_from(request)[1]))
                return
        there[1].write(request)
        more = True
        while more:
            answer = await _message(there[0])
            flags = struct.unpack_from("<I", answer, _HEADER.size)[0]
            more = _HEADER.unpack_from(answer)[3] == _OP_MSG and bool(flags & _MORE_TO_COME)
            writer.write(self._altered(command, answer))

    def _altered(self, command: Document | None, answer: bytes) -> bytes:
        alter = None if command is None else self._alters.get(next(iter(command)))
        if alter is None or command is None:
            return answer
        document = bson.decode(answer[_HEADER.size + 5 :])
        alter(command, document)
        return _reply(document, _HEADER.unpack_from(answer)[2])


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head, "little") - 4)


def _reply(document: Document, to: int) -> bytes:
    body = bytes(5) + bson.encode(document)
    return _HEADER.pack(_HEADER.size + len(body), 0, to, _OP_MSG) + body


def _command(message: bytes) -> Document | None:
    """Return the command in an OP_MSG; None for an older message, such as a driver's first one."""
    if _HEADER.unpack_from(message)[3] != _OP_MSG:
        return None
    at = _HEADER.size + 4
    command: Document = {}
    beside: Document = {}
    while at < len(message):
        kind = message[at]
        size = struct.unpack_from("<i", message, at + 1)[0]
        if kind == 0:
            command = bson.decode(message[at + 1 : at + 1 + size])
        else:
            name_ends = message.index(b"\0", at + 5)
            name = message[at + 5 : name_ends].decode()
            beside[name] = bson.decode_all(message[name_ends + 1 : at + 1 + size])
        at += 1 + size
    return {**command, **beside}
