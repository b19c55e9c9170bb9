"""A network that carries bytes of any kind, and is silent, cut or half-open when told to."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

_PIECE = 65536


class Wire:
    """Listens on a port of its own and carries connections to `port`; `async with` runs it."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._carried: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def silence(self, silent: bool = True) -> None:
        """Carry nothing in either direction, on open connections and new ones, until told otherwise."""
        (self._flowing.clear if silent else self._flowing.set)()

    def cut(self) -> None:
        """Break all connections."""
        for writers in self._carried.values():
            for writer in writers:
                writer.transport.abort()

    def half_open(self) -> None:
        """Drop the far ends of all connections. The near ends stay open, and nothing answers there."""
        for writers in self._carried.values():
            for writer in writers[1:]:
                writer.transport.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._flowing.set()
        for task in tuple(self._carried):
            task.cancel()
        await asyncio.gather(*self._carried, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carried[task] = [writer]
        try:
            there, to_there = await asyncio.open_connection("127.0.0.1", self._target)
            self._carried[task].append(to_there)
            down = asyncio.create_task(self._pass_on(there, writer))
            try:
                await self._pass_on(reader, to_there)  # to the end of the near side: the far one may be gone
            finally:
                down.cancel()
                await asyncio.wait([down])
        except OSError:
            pass
        finally:
            for each in self._carried.pop(task):
                each.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_PIECE):
                await self._flowing.wait()
                if not writer.transport.is_closing():
                    writer.write(data)
                    await writer.drain()
