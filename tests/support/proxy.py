"""A network between a gateway and its database that loses answers on demand."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit


class DatabaseProxy:
    """Carries connections to a database. Owned by the test's loop."""

    def __init__(self, uri: str) -> None:
        self._target = urlsplit(uri)
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self._losing: bytes | None = None
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self.lost = 0
        """The answers lost so far."""

    @property
    def uri(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        user = self._target.netloc.rpartition("@")[0]
        return f"mongodb://{user}@127.0.0.1:{port}/?directConnection=true&heartbeatFrequencyMS=500"

    def lose_answer_to(self, command: str) -> None:
        """Let the next such command be carried out, and break the connection before its answer."""
        self._losing = b"\x02" + command.encode() + b"\0"

    def refuse(self, refusing: bool) -> None:
        """Break all connections and accept no new ones; or accept them again."""
        self._refusing = refusing
        if refusing:
            self._break_all()

    def _break_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._break_all()
        await asyncio.gather(*self._carrying)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        ends = [writer]
        self._writers.add(writer)
        try:
            if self._refusing:
                return
            there = await asyncio.open_connection(self._target.hostname, self._target.port)
            ends.append(there[1])
            self._writers.add(there[1])
            with suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    request = await _message(reader)
                    loses = self._losing is not None and self._losing in request[:64]
                    if loses:
                        self._losing = None
                    there[1].write(request)
                    answer = await _message(there[0])
                    if loses:
                        self.lost += 1
                        return
                    writer.write(answer)
        finally:
            for end in ends:
                self._writers.discard(end)
                end.transport.abort()
            self._carrying.discard(task)


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Read one message of the wire protocol, which begins with its length in 4 bytes."""
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head, "little") - 4)
