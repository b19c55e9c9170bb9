"""A network between a client and a gateway that breaks on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self


async def eventually(condition: Callable[[], bool], timeout: float = 20.0) -> None:
    """Wait until the condition holds. Raises TimeoutError if it never does."""
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.005)


class Relay:
    """Carries TCP connections to a port of this machine. Owned by the test's loop."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.refusing = False
        """Whether new connections are closed immediately."""
        self.connections = 0
        """How many connections have been carried so far."""
        self.moments: list[float] = []
        """When each connection came, on the loop's clock."""
        self.refused = 0
        """How many connections were closed immediately."""
        self.carried = 0
        """Bytes, in both directions."""
        self._server: asyncio.Server | None = None
        self._stalled: set[asyncio.StreamWriter] = set()
        self._swallowed: set[asyncio.StreamWriter] = set()
        self._open: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Break every connection without telling either side."""
        for pair in self._open:
            for writer in pair:
                writer.transport.abort()

    def swallow(self) -> None:
        """Discard what the gateway sends over the present connections, so that its answers never arrive."""
        self._swallowed |= {writer for writer, _ in self._open}

    def stall(self) -> None:
        """Forward nothing more over the present connections, in either direction, and read nothing more."""
        self._stalled |= {writer for pair in self._open for writer in pair}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await eventually(lambda: not self._open)

    async def _carry(self, client_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            self.refused += 1
            client_writer.transport.abort()
            return
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            client_writer.transport.abort()
            return
        self.connections += 1
        self.moments.append(asyncio.get_running_loop().time())
        pair = (client_writer, writer)
        self._open.add(pair)
        try:
            await asyncio.gather(self._copy(client_reader, writer), self._copy(reader, client_writer))
        finally:
            self._open.discard(pair)
            for end in pair:
                end.transport.abort()

    async def _closed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Wait until the connection is gone, without reading anything."""
        await eventually(lambda: reader.at_eof() or reader.exception() is not None or writer.transport.is_closing(), 60)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if writer in self._stalled:
                    await self._closed(reader, writer)
                    return
                if writer not in self._swallowed:
                    self.carried += len(data)
                    writer.write(data)
                    await writer.drain()
            if not writer.transport.is_closing():
                writer.write_eof()
        except OSError:
            writer.transport.abort()
