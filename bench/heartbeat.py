"""Measures for how long a gateway answers nobody: `python -m bench.heartbeat HOST PORT PID`, in a separate process.

It requests `/health/live` again and again. For each line on standard input, it prints two times since the previous
line, in seconds: the slowest answer, and the longest that is left of one without the waits for a core.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

_REQUEST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
_PAUSE = 0.001
_CHUNK = 64 * 1024


class Silence(NamedTuple):
    """For how long nobody was answered, in seconds."""

    longest: float
    """The slowest answer."""
    held: float
    """The same, less the time for which the thread of the event loop and the heartbeat were ready to run, and other
    threads had all cores. What is left is what the gateway itself took, with the waits for its other threads."""


class Heartbeat:
    """A heartbeat in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def silence(self) -> Silence:
        """Return the longest silence since the last call of this method."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return Silence(*map(float, (await self._process.stdout.readline()).split()))


@asynccontextmanager
async def heartbeat(address: tuple[str, int], process_id: int) -> AsyncIterator[Heartbeat]:
    """Start the heartbeat of the gateway at this address, whose event loop runs in the main thread of this process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.heartbeat", address[0], str(address[1]), str(process_id)),
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


class _Waits:
    """How long the main threads of some processes have waited for a core (Linux: schedstat, its second number)."""

    def __init__(self, *process_ids: str) -> None:
        self._files = [Path(f"/proc/{each}/task/{each}/schedstat") for each in process_ids]

    def seconds(self) -> float:
        """Return the sum of all waits that are over; 0 on a system that does not count them."""
        return sum(int(file.read_text().split()[1]) for file in self._files if file.exists()) / 1e9


def main(host: str, port: str, process_id: str) -> None:
    waits, longest, held = _Waits(process_id, str(os.getpid())), 0.0, 0.0
    with socket.create_connection((host, int(port))) as connection:
        while True:
            before = waits.seconds()
            took = _ask(connection)
            longest, held = max(longest, took), max(held, took - (waits.seconds() - before))
            readable, _, _ = select.select([sys.stdin], [], [], _PAUSE)
            if readable:
                if not sys.stdin.readline():
                    return
                print(longest, held, flush=True)
                longest = held = 0.0


if __name__ == "__main__":
    main(*sys.argv[1:])
