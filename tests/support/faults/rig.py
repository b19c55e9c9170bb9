"""Gateways and databases in their own processes, for runs that break them, and measurements of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import psutil

from tests.support.load.client import Target
from tests.support.processes import EMBEDDED_COMMAND, GatewayProcess
from turnwire.store.embedded.server import EmbeddedDatabase

MIB = 1024 * 1024
FAST_HEARTBEAT = "heartbeatFrequencyMS=500"
_POLL_SECONDS = 0.02


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


async def eventually(condition: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
    """Wait until the condition holds. Raises TimeoutError with a text about what did not happen."""
    try:
        async with asyncio.timeout(timeout):
            while not condition():
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise TimeoutError(f"not within {timeout} s: {what}") from None


def database_in(directory: Path, *, test_commands: bool = False) -> EmbeddedDatabase:
    """A separate database server. After a kill it is started again on the same port and directory."""
    return EmbeddedDatabase(directory, command=EMBEDDED_COMMAND, cache_size="128M", test_commands=test_commands)


def gateway_on(
    directory: Path, uri: str | None, *, port: int = 0, env: Mapping[str, str] | None = None
) -> GatewayProcess:
    """Return a gateway that is not started yet. Without a URI it has its own database in the directory."""
    return GatewayProcess(directory, mongodb_uri=uri, port=port, env=env)


async def start(gateway: GatewayProcess, target: Target) -> None:
    """Start the gateway and direct the clients to it."""
    await asyncio.to_thread(gateway.start)
    target.url, target.process = gateway.url, f"gateway-{gateway.pid}"


async def kill(gateway: GatewayProcess) -> None:
    await asyncio.to_thread(gateway.kill)


@asynccontextmanager
async def serving(gateway: GatewayProcess, target: Target) -> AsyncIterator[GatewayProcess]:
    """Run the gateway in this block, and direct the clients to it."""
    async with gateway:
        target.url, target.process = gateway.url, f"gateway-{gateway.pid}"
        yield gateway


@asynccontextmanager
async def paused(pid: int) -> AsyncIterator[None]:
    """Stop the process (SIGSTOP) in this block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def rss(pid: int) -> int:
    """Return the resident memory of the process in bytes."""
    size: int = psutil.Process(pid).memory_info().rss
    return size


def pid_of(database: EmbeddedDatabase) -> int:
    pid = database.pid
    assert pid is not None, "the database does not run"
    return pid


class Pace:
    """Measures how much this machine lags by itself: how late a wait of a few milliseconds returns during the block."""

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []  # when, and by how many seconds

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            began = now()
            await asyncio.sleep(_POLL_SECONDS)
            self._late.append((began, now() - began - _POLL_SECONDS))

    def behind(self, since: float = 0.0, until: float = float("inf")) -> float:
        """Return the seconds that an ack may be late through no fault of the gateway, between these moments of the
        loop's clock.

        For one ack, client, gateway and database wait for the machine in turn, the database twice.
        """
        return 4 * max((late for when, late in self._late if since <= when < until), default=0.0)
