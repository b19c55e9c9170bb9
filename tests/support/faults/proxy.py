"""A TCP proxy in front of a database that breaks connections on demand, at an exact message."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from random import Random
from typing import Self
from urllib.parse import urlsplit

_HEADER = struct.Struct("<iiii")
_OP_MSG = 2013
_COMMAND_AT = 4 + 1 + 4 + 1
"""Offset of the command's name in the body of an OP_MSG: after flags, kind, length and the element's type."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Fault(Enum):
    """What happens to one request."""

    LOSE_REQUEST = "cut before the request arrives"
    CUT_AFTER_REQUEST = "cut as soon as the request has been handed over"
    CUT_BEFORE_REPLY = "cut when the reply comes, which is lost"
    SWALLOW_REPLY = "the reply is lost, the connection stays open"


Plan = Callable[[str], Fault | None]
"""Called with the command name of each request."""


class Proxy:
    """Listens on its own port and carries connections to the server of `uri`. `async with` runs it."""

    def __init__(self, uri: str, seed: int = 0) -> None:
        self.delay = 0.0
        """Seconds of delay for every piece, in each direction."""
        self.slicing = False
        """Whether bytes arrive in pieces of random sizes."""
        self.plan: Plan = lambda command: None
        self.done: Counter[Fault] = Counter()
        """The faults so far."""
        self._target = urlsplit(uri)
        self._random = Random(seed)
        self._server: asyncio.Server | None = None
        self._open: set[_Carried] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    @property
    def uri(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        user = self._target.netloc.rpartition("@")[0]
        return f"mongodb://{user}@127.0.0.1:{port}/?directConnection=true&heartbeatFrequencyMS=500"

    def silence(self, silent: bool = True) -> None:
        """Carry nothing in either direction, on open and new connections, until told otherwise."""
        (self._flowing.clear if silent else self._flowing.set)()

    def cut(self) -> None:
        """Break all connections without telling either side."""
        for carried in tuple(self._open):
            carried.cut()

    def half_open(self) -> None:
        """Drop the database's ends of all connections. The clients' ends stay open, and nothing answers there."""
        for carried in tuple(self._open):
            carried.leave_client_alone()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._flowing.set()
        while self._open:
            self.cut()
            await asyncio.sleep(0)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            writer.transport.abort()
            return
        carried = _Carried(self, (reader, writer), upstream)
        self._open.add(carried)
        try:
            await carried.run()
        finally:
            self._open.discard(carried)

    async def hand_over(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Write the bytes with the present delay, and in pieces if so configured."""
        while data:
            await self._flowing.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            size = self._random.choice((1, 7, 300, 4000)) if self.slicing else len(data)
            writer.write(data[:size])
            await writer.drain()
            data = data[size:]


class _Carried:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: Streams, database: Streams) -> None:
        self._proxy = proxy
        self._client, self._to_client = client
        self._database, self._to_database = database
        self._fault: Fault | None = None
        self._alone = asyncio.Event()
        self._ended = asyncio.Event()

    def cut(self) -> None:
        self._ended.set()
        for writer in (self._to_client, self._to_database):
            writer.transport.abort()

    def leave_client_alone(self) -> None:
        self._alone.set()
        self._to_database.transport.abort()

    async def run(self) -> None:
        up, down = asyncio.create_task(self._up()), asyncio.create_task(self._down())
        try:
            await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
            if self._alone.is_set():
                await self._ended.wait()
        finally:
            self.cut()
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _up(self) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await self._client.readexactly(_HEADER.size)
                size, _, _, kind = _HEADER.unpack(head)
                body = await self._client.readexactly(size - _HEADER.size)
                fault = self._proxy.plan(_command_of(body)) if kind == _OP_MSG else None
                if fault is not None:
                    self._proxy.done[fault] += 1
                if fault is Fault.LOSE_REQUEST:
                    return
                self._fault = fault
                await self._proxy.hand_over(self._to_database, head + body)
                if fault is Fault.CUT_AFTER_REQUEST:
                    return

    async def _down(self) -> None:
        with suppress(ConnectionError):
            while data := await self._database.read(65536):
                if self._fault is Fault.CUT_BEFORE_REPLY:
                    return
                if self._fault is not Fault.SWALLOW_REPLY:
                    await self._proxy.hand_over(self._to_client, data)


def _command_of(body: bytes) -> str:
    """Return the name of the command in the body of an OP_MSG request."""
    return body[_COMMAND_AT : body.index(b"\0", _COMMAND_AT)].decode()


def every(count: int, commands: set[str], fault: Fault) -> Plan:
    """Return a plan in which this fault happens to every n-th request of these commands."""
    seen: Counter[str] = Counter()

    def plan(command: str) -> Fault | None:
        if command not in commands:
            return None
        seen[command] += 1
        return fault if seen[command] % count == 0 else None

    return plan
