"""Measures for how long a gateway answers nobody: `python -m bench.heartbeat HOST PORT`, in a separate process.

It requests `/health/live` again and again. For each line on standard input, it prints the slowest answer since the
previous line, in seconds.
"""

from __future__ import annotations

import asyncio
import select
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_REQUEST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
_PAUSE = 0.001
_CHUNK = 64 * 1024


class Heartbeat:
    """A heartbeat in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def longest(self) -> float:
        """Return the seconds that the slowest answer took since the last call of this method."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return float(await self._process.stdout.readline())


@asynccontextmanager
async def heartbeat(address: tuple[str, int]) -> AsyncIterator[Heartbeat]:
    """Start the heartbeat of the gateway at this address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.heartbeat", address[0], str(address[1])),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield Heartbeat(process)
    finally:
        process.kill()
        await process.wait()


def _ask(connection: socket.socket) -> float:
    """Return how long the answer took. Raises ConnectionError at the end of the connection."""
    began = time.perf_counter()
    connection.sendall(_REQUEST)
    answer = b""
    while not _is_whole(answer):
        chunk = connection.recv(_CHUNK)
        if not chunk:
            raise ConnectionError("the gateway has closed the connection")
        answer += chunk
    return time.perf_counter() - began


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= int(lengths[0].partition(b":")[2])


def main(host: str, port: str) -> None:
    longest = 0.0
    with socket.create_connection((host, int(port))) as connection:
        while True:
            longest = max(longest, _ask(connection))
            readable, _, _ = select.select([sys.stdin], [], [], _PAUSE)
            if readable:
                if not sys.stdin.readline():
                    return
                print(longest, flush=True)
                longest = 0.0


if __name__ == "__main__":
    main(*sys.argv[1:])
