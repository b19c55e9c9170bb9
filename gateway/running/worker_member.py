"""A gateway as one of several workers: its settings from the parent, and the metrics it shares with its siblings."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

FOLDER: Final = "TURNWIRE_WORKERS_FOLDER"
"""Environment variable with the private folder of the workers' sockets."""
NAME: Final = "TURNWIRE_WORKER_NAME"
READY: Final = "TURNWIRE_WORKER_READY"
"""Environment variable with the file descriptor on which a worker reports that it listens."""
_PATIENCE = 1.0
"""Seconds that a sibling has to send its metrics."""


class Member:
    """One of several workers. It sends its metrics to every process that connects to its socket file."""

    def __init__(self, folder: Path, name: str, ready: int) -> None:
        self._folder = folder
        self._path = folder / f"{name}.sock"
        self._ready = ready

    @classmethod
    def from_environment(cls) -> Self | None:
        """Return the member that the environment describes; None for a gateway that is alone on its port."""
        folder = os.environ.get(FOLDER)
        return None if folder is None else cls(Path(folder), os.environ[NAME], int(os.environ[READY]))

    def ready(self) -> None:
        """Tell the parent that this worker listens."""
        os.write(self._ready, b".")
        os.close(self._ready)

    async def share_metrics(self, registry: CollectorRegistry) -> Callable[[], Awaitable[None]]:
        """Send the metrics to every sibling that asks. Return a function that ends this."""

        async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                writer.write(generate_latest(registry))
                await writer.drain()
            finally:
                writer.close()

        server = await asyncio.start_unix_server(send, self._path)

        async def end() -> None:
            server.close()
            self._path.unlink(missing_ok=True)

        return end

    async def expositions(self) -> Sequence[str]:
        """Return the metrics of each sibling that answers in time, as Prometheus text."""
        others = [path for path in self._folder.glob("*.sock") if path != self._path]
        answers = await asyncio.gather(*map(_ask, others), return_exceptions=True)
        return [answer for answer in answers if isinstance(answer, str)]


async def _ask(path: Path) -> str:
    async with asyncio.timeout(_PATIENCE):
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            return (await reader.read()).decode()
        finally:
            writer.close()
