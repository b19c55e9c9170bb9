"""A separate Redis for a bench. It stores nothing, and ends with the block."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_START_SECONDS = 10.0
_POLL_SECONDS = 0.02


class NoRedis(Exception):
    """No Redis is installed on this machine."""


@asynccontextmanager
async def redis_server() -> AsyncIterator[str]:
    """Start Redis or Valkey on a free port, and yield its URL. Raises NoRedis, or TimeoutError if it does not start."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise NoRedis("neither redis-server nor valkey-server is installed: `make redis` does that")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    process = await asyncio.create_subprocess_exec(
        *(program, *options),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not await _listens(port):
                await asyncio.sleep(_POLL_SECONDS)
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
