"""The embedded database: SecantusDB, which serves the MongoDB wire protocol over WiredTiger, as a child process.

SecantusDB has another licence and is an optional extra. Turnwire runs it, but never imports it.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final, Self

from turnwire.store.embedded.child import Child, Launch
from turnwire.store.embedded.data_directory import DataDirectory
from turnwire.store.embedded.directory_mark import DirectoryRefused, check_mark, keep_mark
from turnwire.store.embedded.ending import POLL_SECONDS
from turnwire.store.embedded.faults import DirectoryLocked, EmbeddedDatabaseError, PortTaken
from turnwire.store.embedded.places import HOST, free_port
from turnwire.store.embedded.program import Engine, find_program, packaged_engine
from turnwire.store.embedded.scram import DatabaseUser, new_credentials
from turnwire.store.embedded.trial import try_program
from turnwire.store.embedded.users import create_user, drop_other_users

_LOCKED_SECONDS: Final = 3.0
"""Seconds to wait for the directory, which the child of a killed gateway may hold for a moment longer."""
_BACKOFF_SECONDS: Final = (0.2, 5.0)
_PROBE_SECONDS: Final = 2.0
"""Seconds between two questions whether the storage engine has given up. Each takes a new connection."""
_PREPARED_SECONDS: Final = 5.0
_SPARE_COLLECTIONS: Final = 32
"""Enough collections to touch every table that documents are spread over; 18 suffice in the current version."""

_log = logging.getLogger("turnwire.store")


class EmbeddedDatabase:
    """A database server with its own data directory. It dies with this process.

    Start it from the main thread: the kernel kills the child when that thread ends. While the database runs, a task
    restarts a child that died, with the same port and directory. `command` names another program than the packaged
    server, quoted as for a shell. `cache_size` is text such as 256M.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        command: str | None = None,
        cache_size: str = "256M",
        test_commands: bool = False,
        log_file: Path | None = None,
    ) -> None:
        self.restarts = 0
        """The number of times a dead child has been replaced."""
        self._command = command
        self._cache_size = cache_size
        self._test_commands = test_commands
        self._directory = DataDirectory(data_dir, log_file)
        self._port = 0
        self._credentials: DatabaseUser | None = None
        """The credentials that the server requires. None only during the first start, before it has a user."""
        self._child: Child | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def uri(self) -> str:
        """The database's URI, the same across restarts. Raises RuntimeError before the start. Holds the password."""
        if not self._port or self._credentials is None:
            raise RuntimeError("the embedded database has not been started")
        return f"mongodb://{self._credentials.user}:{self._credentials.password}@{HOST}:{self._port}/"

    @property
    def pid(self) -> int | None:
        """The child's process id; None while no child runs."""
        return None if self._child is None else self._child.pid

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the child and wait until it answers. Raises EmbeddedDatabaseError, leaving no process behind."""
        launch = Launch(find_program(self._command), self._directory, self._cache_size, self._test_commands)
        deadline = asyncio.get_running_loop().time() + _LOCKED_SECONDS
        while True:
            try:
                await self._start_once(launch)
            except (PortTaken, DirectoryLocked):
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(POLL_SECONDS)
            except DirectoryRefused as error:
                raise EmbeddedDatabaseError(str(error)) from None
            except OSError as error:
                raise EmbeddedDatabaseError(
                    f"cannot use the data directory {self._directory.path}: {error.strerror}"
                ) from None
            else:
                break
        self._watcher = asyncio.create_task(self._watch(launch), name="embedded database")
        self._watcher.add_done_callback(_report_failure)

    async def _start_once(self, launch: Launch) -> None:
        if not self._directory.take():
            raise DirectoryLocked(self._directory.path)
        try:
            self._port = _find_port()
            engine = await self._engine(launch)
            is_new = self._directory.begin()
            self._credentials = self._directory.credentials()
            if self._credentials is None:
                await self._prepare(launch, is_new=is_new)
            child = await self._run(launch)
            assert self._credentials is not None
            await drop_other_users(child.ask, self._credentials)
            keep_mark(self._directory.path, engine)
        except BaseException:
            await self._end_child(0)
            self._directory.release()
            raise

    async def _engine(self, launch: Launch) -> Engine:
        """Return which server is to open the database. Raises DirectoryRefused, EmbeddedDatabaseError."""
        engine = packaged_engine() if launch.program.is_packaged else await try_program(launch, self._port)
        check_mark(self._directory.path, engine if self._directory.has_database else None)
        return engine

    async def _prepare(self, launch: Launch, *, is_new: bool) -> None:
        """Give the database a user. This works only while it requires none, so it listens on a port that nobody knows
        yet."""
        child = await self._run(launch)
        if is_new:
            await _make_tables(child)
            self._directory.finish()
        credentials = new_credentials()
        await create_user(child.ask, credentials)
        self._directory.keep_credentials(credentials)
        await self._end_child(_PREPARED_SECONDS)
        self._credentials = credentials

    async def _run(self, launch: Launch) -> Child:
        """Start a child and wait until it answers. Leave none behind when raising."""
        child = self._child = Child(launch, self._port, self._credentials)
        await child.until_ready()
        return child

    async def stop(self, kill_after: float = 5.0) -> None:
        """Stop the child, by force after `kill_after` seconds. Loses no acknowledged write. Safe to repeat."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
            self._watcher = None
        await self._end_child(kill_after)
        self._directory.release()

    async def _watch(self, launch: Launch) -> None:
        """Replace the child whenever it dies, until cancelled."""
        shortest, longest = _BACKOFF_SECONDS
        pause = shortest
        while True:
            await self._until_dead()
            status = self._child.status if self._child is not None else None
            _log.warning("the embedded database died with status %s and will be restarted", status)
            await asyncio.sleep(pause)
            try:
                await self._run(launch)
            except (EmbeddedDatabaseError, OSError) as error:
                pause = min(pause * 2, longest)
                _log.error("the embedded database cannot be restarted: %s", error)
            else:
                pause = shortest
                self.restarts += 1
                _log.warning("the embedded database answers again")

    async def _until_dead(self) -> None:
        """Wait until the child is dead. Kill it if its storage engine has given up, as on a full disk."""
        while (child := self._child) is not None and not await child.ends_within(_PROBE_SECONDS):
            if await child.is_broken():
                _log.error("the embedded database fails at every command, as it does when the disk is full")
                child.kill()

    async def _end_child(self, kill_after: float) -> None:
        if self._child is not None:
            await self._child.end(kill_after)
            self._child = None


def _find_port() -> int:
    port = free_port(HOST)
    if port is None:
        raise EmbeddedDatabaseError(f"{HOST} has no free port for the embedded database")
    return port


async def _make_tables(child: Child) -> None:
    """Create all tables while the database is empty, instead of at their first write.

    A kill while a table is created leaves a database that can never be opened again.
    """
    for name in range(_SPARE_COLLECTIONS):
        await child.ask({"create": str(name), "$db": "prepare"})
    await child.ask({"dropDatabase": 1, "$db": "prepare"})


def _report_failure(watcher: asyncio.Task[None]) -> None:
    if not watcher.cancelled() and (error := watcher.exception()) is not None:
        _log.error("the embedded database is no longer watched", exc_info=error)
