"""The processes of a bench: gateways, databases, floors and loads, each started for one measure."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
import psutil
import pymongo
from msgspec import Struct
from msgspec.structs import replace

from bench.floors import READY
from bench.load import SECONDS, Load
from bench.meter import Figures, Target
from bench.redis_server import NoRedis, redis_server
from turnwire.gateway.config import Config, environment_name
from turnwire.protocol.rights import KeyLine, Scope, new_key, secret_digest
from turnwire.store.embedded.places import HOST, free_port
from turnwire.store.embedded.server import EmbeddedDatabase

_ROOT = Path(__file__).resolve().parents[1]
_SERVE = ["-m", "turnwire", "serve", "--port", "0"]
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.02


class BenchError(Exception):
    """A process of the bench failed. The text contains its output."""


class Start(Struct, frozen=True):
    """Starts a process once more."""

    command: list[str]
    directory: str
    environment: dict[str, str]


class Processes:
    """Starts what is measured. With `mongodb_uri`, it uses new databases on that server, and drops them.

    `embedded_command` names another server for the embedded databases than the packaged one. With `share`, all measures
    use one gateway, which `close` stops. That is faster, but makes the figures useless.
    """

    def __init__(
        self,
        mongodb_uri: str | None = None,
        database_pid: int | None = None,
        *,
        embedded_command: str | None = None,
        share: bool = False,
    ) -> None:
        self._mongodb_uri = mongodb_uri
        self._embedded_command = embedded_command
        self._database_pid = database_pid
        self._share = share
        self._shared: tuple[Target, Path] | None = None
        self._open = AsyncExitStack()

    async def close(self) -> None:
        await self._open.aclose()

    @asynccontextmanager
    async def gateway(self, **settings: str) -> AsyncIterator[tuple[Target, Path]]:
        """Start a gateway on a fresh database. Yield it with its data directory. `settings`: environment variables,
        which a shared gateway ignores."""
        if self._share:
            if self._shared is None:
                self._shared = await self._open.enter_async_context(self._fresh_gateway())
            yield self._shared
            return
        async with self._fresh_gateway(**settings) as fresh:
            yield fresh

    @asynccontextmanager
    async def guarded_gateway(self) -> AsyncIterator[Target]:
        """Start a gateway on a fresh database that requires an API key. Yield it with such a key."""
        with tempfile.TemporaryDirectory(prefix="turnwire-bench-") as name:
            file = Path(name, "keys.ndjson")
            key = _write_key(file)
            async with self._fresh_gateway(TURNWIRE_API_KEYS_FILE=str(file)) as (target, _):
                yield replace(target, key=key)

    @asynccontextmanager
    async def mortal_gateway(self) -> AsyncIterator[tuple[Target, Start]]:
        """Start a gateway on a fresh database. Yield it with a function that starts the next one after it has been
        killed."""
        with tempfile.TemporaryDirectory(prefix="turnwire-bench-") as name:
            database = f"bench-{uuid4().hex[:12]}"
            serve = [*_SERVE[:-1], str(free_port(HOST))]
            environment = self._settings(name, database)
            async with _server(serve, Path(name), environment) as (url, pid):
                try:
                    yield Target(url, pid), Start([sys.executable, *serve], name, _environment(environment))
                finally:
                    self._drop(database)

    @asynccontextmanager
    async def _fresh_gateway(self, **settings: str) -> AsyncIterator[tuple[Target, Path]]:
        with tempfile.TemporaryDirectory(prefix="turnwire-bench-") as name:
            data_dir, database = Path(name), f"bench-{uuid4().hex[:12]}"
            async with _server(_SERVE, data_dir, self._settings(name, database) | settings) as (url, pid):
                try:
                    yield Target(url, pid, self._database_pid or _child(pid)), data_dir
                finally:
                    self._drop(database)

    def _settings(self, data_dir: str, database: str) -> dict[str, str]:
        """Return the settings of a gateway in this directory; the database is used on a MongoDB."""
        settings = {"TURNWIRE_DATA_DIR": data_dir, "TURNWIRE_LOG_FORMAT": "console"}
        if self._mongodb_uri is not None:
            return settings | {"MONGODB_URI": self._mongodb_uri, "MONGODB_DATABASE": database}
        if self._embedded_command is not None:
            return settings | {"TURNWIRE_EMBEDDED_COMMAND": self._embedded_command}
        return settings

    @asynccontextmanager
    async def database(self) -> AsyncIterator[tuple[Target, str]]:
        """Start a fresh database without a gateway. Yield its URI as a target, and the name of a database."""
        name = f"bench-{uuid4().hex[:12]}"
        if self._mongodb_uri is not None:
            yield Target(self._mongodb_uri, os.getpid(), self._database_pid), name
            self._drop(name)
            return
        with tempfile.TemporaryDirectory(prefix="turnwire-bench-") as directory:
            async with EmbeddedDatabase(Path(directory), command=self._embedded_command) as embedded:
                yield Target(embedded.uri, os.getpid(), embedded.pid), name

    @asynccontextmanager
    async def cluster(self, count: int, *, redis: bool) -> AsyncIterator[list[Target]]:
        """Start this many gateways on one fresh database, with a Redis between them or without."""
        async with AsyncExitStack() as opened:
            database, environment = await self._shared_database(opened)
            if redis:
                try:
                    environment["REDIS_URL"] = await opened.enter_async_context(redis_server())
                except NoRedis as error:
                    raise BenchError(str(error)) from None
            targets = []
            for _ in range(count):
                directory = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="turnwire-bench-")))
                url, pid = await opened.enter_async_context(_server(_SERVE, directory, environment))
                targets.append(Target(url, pid, database.database))
            yield targets

    @asynccontextmanager
    async def workers(self, count: int) -> AsyncIterator[Target]:
        """Start one gateway with this many worker processes on a fresh database."""
        async with AsyncExitStack() as opened:
            database, environment = await self._shared_database(opened)
            directory = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="turnwire-bench-")))
            command = [*_SERVE, "--workers", str(count)]
            url, pid = await opened.enter_async_context(_server(command, directory, environment))
            workers = tuple(child.pid for child in psutil.Process(pid).children())
            yield Target(url, pid, database.database, workers)

    async def _shared_database(self, opened: AsyncExitStack) -> tuple[Target, dict[str, str]]:
        """Start a fresh database. Yield it with the settings for several gateways on it."""
        database, name = await opened.enter_async_context(self.database())
        environment = {"MONGODB_URI": database.url, "MONGODB_DATABASE": name, "TURNWIRE_LOG_FORMAT": "console"}
        return database, environment

    @asynccontextmanager
    async def floor(self, name: str) -> AsyncIterator[Target]:
        """Start a server of `bench.floors` that stores nothing."""
        async with self._floor(name, {}) as (url, pid):
            yield Target(url, pid)

    @asynccontextmanager
    async def storing_floor(self, name: str) -> AsyncIterator[Target]:
        """Start a server of `bench.floors` that stores events in a fresh database."""
        async with self.database() as (database, database_name):
            environment = {"MONGODB_URI": database.url, "DATABASE": database_name}
            async with self._floor(name, environment) as (url, pid):
                yield Target(url, pid, database.database)

    @asynccontextmanager
    async def _floor(self, name: str, environment: Mapping[str, str]) -> AsyncIterator[tuple[str, int]]:
        with tempfile.TemporaryDirectory(prefix="turnwire-bench-") as directory:
            async with _server(["-m", "bench.floors", name], Path(directory), environment) as server:
                yield server

    async def load(self, load: Load) -> Figures:
        """Run a load in its own process."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.load"),
            cwd=_ROOT,
            env=_environment({}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(SECONDS + _START_SECONDS):
                output, errors = await process.communicate(msgspec.json.encode(load))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise BenchError(f"{type(load).__name__} failed:\n{errors.decode(errors='replace')[-4000:]}")
        return msgspec.json.decode(output, type=Figures)

    def _drop(self, database: str) -> None:
        if self._mongodb_uri is not None:
            with pymongo.MongoClient[dict[str, object]](self._mongodb_uri) as client:
                client.drop_database(database)


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without the gateway's settings, plus `extra`.

    Python may keep what it compiles, because an installed package is compiled: without that, each start would take a
    quarter longer.
    """
    left_out = {environment_name(field) for field in Config.model_fields} | {"PYTHONDONTWRITEBYTECODE"}
    inherited = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**inherited, "PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1", **extra}


def _child(pid: int) -> int | None:
    """Return the process id of a gateway's embedded database, or None."""
    children = psutil.Process(pid).children()
    return children[0].pid if children else None


@asynccontextmanager
async def _server(
    arguments: Sequence[str], directory: Path, extra: Mapping[str, str]
) -> AsyncIterator[tuple[str, int]]:
    """Start a server, and yield its URL and process id. It runs in `directory`, where there is no `.env` to read."""
    log_file = directory / "output.log"
    process = _spawn(arguments, directory, extra, log_file)
    try:
        async with asyncio.timeout(_START_SECONDS):
            while (url := _url(log_file)) is None:
                if process.poll() is not None:
                    raise BenchError(f"{' '.join(arguments)} ended:\n{log_file.read_text(errors='replace')}")
                await asyncio.sleep(_POLL_SECONDS)
        yield url, process.pid
    finally:
        await _end(process)


def _spawn(
    arguments: Sequence[str], directory: Path, extra: Mapping[str, str], log_file: Path
) -> subprocess.Popen[bytes]:
    with log_file.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=directory,
            env=_environment(extra),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _url(log_file: Path) -> str | None:
    _, found, rest = log_file.read_text(errors="replace").partition(READY)
    url, line_end, _ = rest.partition("\n")
    return url.split()[0] if found and line_end else None


async def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            while process.poll() is None:
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        process.kill()
        process.wait()


def _write_key(file: Path) -> str:
    """Write a key file with one API key for everything, and return the key."""
    key = new_key("bench")
    line = KeyLine("bench", secret_digest(key.rpartition("_")[2]), " ".join(Scope), ["*"])
    file.write_bytes(msgspec.json.encode(line))
    file.chmod(0o600)  # the gateway refuses a file that others may read
    return key
