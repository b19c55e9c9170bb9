"""Runs several gateways on one port: a parent process starts, watches, replaces and stops them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import uvloop

from turnwire.gateway.access.mode import choose_mode
from turnwire.gateway.config import Config
from turnwire.gateway.running.serve import ServeError, cannot_listen, start_database, url_of
from turnwire.gateway.running.systemd import Systemd
from turnwire.gateway.running.worker_member import FOLDER, NAME, READY
from turnwire.gateway.telemetry.logs import configure_logging
from turnwire.gateway.tracing.switch import log_processors
from turnwire.store.embedded import die_with_parent

_READY_SECONDS: Final = 30.0
"""Longest time until a worker listens."""
_STOP_SECONDS: Final = 9.8
"""Longest time for a worker to stop, in addition to its `drain_delay`."""
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_STEADY_SECONDS: Final = 10.0
"""A worker that has lived longer than this is restarted without a longer pause when it dies."""

_log = logging.getLogger("turnwire.workers")


def run_workers(config: Config, count: int) -> None:
    """Serve with `count` processes until a signal stops them. Raises ServeError, ConfigError."""
    configure_logging(config.log_level, config.log_format, *log_processors(config))
    uvloop.run(_serve(config, count))


async def _serve(config: Config, count: int) -> None:
    choose_mode(config)  # raises for settings that must not be served, before anything is started
    systemd = Systemd.from_environment()
    database = None if config.mongodb_uri is not None else await start_database(config)
    try:
        with tempfile.TemporaryDirectory(prefix="turnwire-") as folder, _reserved(config) as port:
            uri = config.mongodb_uri if database is None else database.uri
            assert uri is not None
            settings = {"HOST": config.host, "PORT": str(port), "MONGODB_URI": uri}
            await Workers(config, count, Path(folder), settings, systemd).serve()
    finally:
        if database is not None:
            await database.stop(kill_after=0.3)


def _reserved(config: Config) -> _Port:
    try:
        return _Port(config.host, config.port)
    except OSError as error:
        raise cannot_listen(config.host, config.port, error) from None


class _Port:
    """Holds a port for the workers without listening on it, so that port 0 becomes the same port for all of them."""

    def __init__(self, host: str, port: int) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            self._socket.bind(address)
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> int:
        return int(self._socket.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class Workers:
    """The workers of a parent process. Each place has a task that owns its worker's process."""

    def __init__(self, config: Config, count: int, folder: Path, settings: Mapping[str, str], systemd: Systemd) -> None:
        self._config = config
        self._count = count
        self._systemd = systemd
        self._folder = folder
        self._settings = settings
        self._places: list[_Worker | None] = [None] * count
        self._turns = [asyncio.Lock() for _ in range(count)]
        """Held while a place is filled, so that a worker that dies during a replacement is not replaced twice."""
        self._started = 0
        self._stopping = asyncio.Event()
        self._restart = asyncio.Event()

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT. SIGHUP replaces the workers, one after the other."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._restart.set)
        tasks: list[asyncio.Task[None]] = []
        try:
            await asyncio.gather(*(self._fill(place) for place in range(self._count)))
            url = url_of(self._config.host, self._settings["PORT"])
            _log.info("turnwire listening on %s with %d workers", url, self._count)
            tasks = [loop.create_task(self._keep(place)) for place in range(self._count)]
            tasks.append(loop.create_task(self._replace_when_told()))
            tasks.append(loop.create_task(self._systemd.keep_alive(_is_alive)))
            self._systemd.ready()
            await self._stopping.wait()
            _log.info("stopping")
            self._systemd.stopping()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(worker.stop() for worker in self._places if worker is not None))

    async def _fill(self, place: int) -> None:
        """Start a worker in this place, and return when it listens. Raises ServeError."""
        self._started += 1
        worker = _Worker(self._folder, f"{place}-{self._started}", self._settings, self._config.drain_delay)
        await worker.start()
        self._places[place] = worker

    async def _keep(self, place: int) -> None:
        """Replace the worker of this place whenever it dies."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            worker = self._places[place]
            assert worker is not None
            began = loop.time()
            status = await worker.wait()
            if worker is not self._places[place]:
                continue  # its worker was replaced
            _log.error("worker %d ended with status %d and is restarted", place, status)
            worker.tidy()
            pause = _FIRST_PAUSE if loop.time() - began > _STEADY_SECONDS else min(_LONGEST_PAUSE, pause * 2)
            filled = False
            while not filled:
                await asyncio.sleep(pause)
                try:
                    async with self._turns[place]:
                        if worker is self._places[place]:
                            await self._fill(place)
                    filled = True
                except ServeError as error:
                    _log.error("worker %d: %s", place, error)
                    pause = min(_LONGEST_PAUSE, pause * 2)

    async def _replace_when_told(self) -> None:
        while True:
            await self._restart.wait()
            self._restart.clear()
            _log.info("replacing the workers, one after the other")
            for place in range(self._count):
                try:
                    async with self._turns[place]:
                        older = self._places[place]
                        await self._fill(place)
                except ServeError as error:
                    _log.error("the other workers are not replaced: %s", error)
                    break
                if older is not None:
                    await older.stop()
            else:
                _log.info("all workers have been replaced")


async def _is_alive() -> bool:
    """Return True: if this code runs, the parent is alive. The parent itself restarts workers."""
    return True


class _Worker:
    """One gateway process."""

    def __init__(self, folder: Path, name: str, settings: Mapping[str, str], drain_delay: float) -> None:
        self._socket = folder / f"{name}.sock"
        self._environment = {**os.environ, **settings, FOLDER: str(folder), NAME: name}
        self._stop_seconds = _STOP_SECONDS + drain_delay
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process, and return when it listens. Raises ServeError if it does not."""
        ready, tell = os.pipe()
        command = [die_with_parent.__file__, str(os.getpid()), sys.executable, "-m", "turnwire", "serve"]
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                env={**self._environment, READY: str(tell)},
                pass_fds=[tell],
                start_new_session=True,  # Ctrl-C reaches only the parent, which stops its workers gracefully
            )
        finally:
            os.close(tell)
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ready, "rb")
        )
        try:
            async with asyncio.timeout(_READY_SECONDS):
                if await reader.read(1) != b".":
                    raise ServeError(f"a worker ended with status {await self._process.wait()} before it listened")
        except BaseException as error:
            await self.kill()
            if isinstance(error, TimeoutError):
                raise ServeError(f"a worker did not listen within {_READY_SECONDS:g} s") from None
            raise
        finally:
            transport.close()

    async def wait(self) -> int:
        """Wait until the process has ended, and return its exit status."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> None:
        """Have the process drain and end; kill it if it takes too long."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(self._stop_seconds):
                await self._process.wait()
        except TimeoutError:
            _log.error("a worker did not stop in time and is killed")
            await self.kill()
        self.tidy()

    async def kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self.tidy()

    def tidy(self) -> None:
        """Remove the socket file that a killed worker has left behind."""
        self._socket.unlink(missing_ok=True)
