"""A reverse proxy that serves a gateway under a path prefix."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def prefix_proxy(prefix: str, port: int) -> AsyncIterator[str]:
    """Serve the gateway on this port under a prefix. Yield the address, without a final slash."""
    streams: set[asyncio.StreamWriter] = set()
    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.add(task)
        streams.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            await _forward(reader, writer, prefix, port)
        writer.close()
        streams.discard(writer)
        served.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{prefix}"
    finally:
        server.close()
        for writer in tuple(streams):
            writer.transport.abort()
        await asyncio.gather(*served)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, prefix: str, port: int) -> None:
    """Pass on one request and its answer, or one WebSocket."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    method, path, rest = head.split(" ", 2)
    assert path.startswith(prefix + "/"), f"{path} is not below {prefix}"
    if "upgrade: websocket" not in rest.lower():
        rest = re.sub(r"(?im)^connection:.*\r\n", "", rest).replace("\r\n", "\r\nConnection: close\r\n", 1)
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    inner_writer.write(f"{method} {path.removeprefix(prefix)} {rest}".encode("latin-1"))
    directions = [
        asyncio.create_task(_copy(reader, inner_writer)),
        asyncio.create_task(_copy(inner_reader, writer)),
    ]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        inner_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
