"""A gateway as one of several workers: its settings from the parent, and the metrics it shares with its siblings."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from turnwire.gateway.telemetry.recent import Reading

FOLDER: Final = "TURNWIRE_WORKERS_FOLDER"
"""Environment variable with the private folder of the workers' sockets."""
NAME: Final = "TURNWIRE_WORKER_NAME"
READY: Final = "TURNWIRE_WORKER_READY"
"""Environment variable with the file descriptor on which a worker reports that it listens."""
_PATIENCE = 1.0
"""Seconds that a sibling has to send its metrics."""
_METRICS: Final = b"m"
_READINGS: Final = b"r"
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(list[Reading])


class Member:
    """One of several workers. Over its socket file, it answers its siblings' requests for its metrics or recent
    readings."""

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

    async def share_metrics(
        self, registry: CollectorRegistry, recent: Collection[Reading]
    ) -> Callable[[], Awaitable[None]]:
        """Send the metrics and readings to every sibling that asks. Return a function that ends this."""
        answers = {_METRICS: lambda: generate_latest(registry), _READINGS: lambda: _ENCODER.encode([*recent])}

        async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                writer.write(answers[await reader.readexactly(1)]())
                await writer.drain()
            except (KeyError, asyncio.IncompleteReadError):
                pass  # the sibling has gone away
            finally:
                writer.close()

        server = await asyncio.start_unix_server(send, self._path)

        async def end() -> None:
            server.close()
            self._path.unlink(missing_ok=True)

        return end

    async def expositions(self) -> Sequence[str]:
        """Return the metrics of each sibling that answers in time, as Prometheus text."""
        return [answer.decode() for answer in await self._ask_all(_METRICS)]

    async def readings(self) -> Sequence[Reading]:
        """Return the recent readings of the siblings that answer in time."""
        return [reading for answer in await self._ask_all(_READINGS) for reading in _DECODER.decode(answer)]

    async def _ask_all(self, what: bytes) -> list[bytes]:
        others = [path for path in self._folder.glob("*.sock") if path != self._path]
        answers = await asyncio.gather(*(_ask(path, what) for path in others), return_exceptions=True)
        return [answer for answer in answers if isinstance(answer, bytes)]


async def _ask(path: Path, what: bytes) -> bytes:
    async with asyncio.timeout(_PATIENCE):
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(what)
            return await reader.read()
        finally:
            writer.close()
