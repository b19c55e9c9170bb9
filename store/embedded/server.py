"""The embedded database: SecantusDB, the MongoDB wire protocol over WiredTiger, as a child process.

It has another licence and is an optional extra. It is only ever run, never imported.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Self

from turnwire.store.embedded import die_with_parent, op_msg
from turnwire.store.embedded.data_directory import DataDirectory
from turnwire.store.embedded.directory_mark import NewerDirectory, check_mark, engine_version, keep_mark
from turnwire.store.embedded.places import find_program, free_port, knock
from turnwire.store.embedded.scram import Credentials, new_credentials
from turnwire.store.embedded.users import create_user, drop_other_users

_HOST: Final = "127.0.0.1"
_READY_SECONDS: Final = 60.0
"""How long a start may take. Recovery after a kill reads the whole write-ahead log: 1 to 5 seconds were measured."""
_LOCKED_SECONDS: Final = 3.0
"""How long to wait for the directory, which the child of a killed gateway may hold for a moment longer."""
_POLL_SECONDS: Final = 0.05
_BACKOFF_SECONDS: Final = (0.2, 5.0)
_POLLS_PER_PROBE: Final = 20
_ANSWER_SECONDS: Final = 2.0
_PREPARED_SECONDS: Final = 5.0
_SPARE_COLLECTIONS: Final = 32
"""Enough collections to touch every table over which documents are spread; 18 suffice in the current version."""

_log = logging.getLogger("turnwire.store")


class EmbeddedDatabaseError(Exception):
    """The embedded database cannot be started. The text says why, and what to do."""


class _PortTaken(EmbeddedDatabaseError):
    pass


class _DirectoryLocked(EmbeddedDatabaseError):
    def __init__(self, path: Path) -> None:
        super().__init__(f"another gateway is using this data directory: {path}")


class EmbeddedDatabase:
    """A database server with its own data directory, which dies with this process.

    Start it from the main thread: the kernel kills the child when that thread ends. While it runs, a task restarts a
    child that died, with the same port and directory. `cache_size` is a text such as 256M.
    """

    def __init__(
        self, data_dir: Path, *, cache_size: str = "256M", test_commands: bool = False, log_file: Path | None = None
    ) -> None:
        self.restarts = 0
        """How often a dead child was replaced."""
        self._cache_size = cache_size
        self._test_commands = test_commands
        self._directory = DataDirectory(data_dir, log_file)
        self._port = 0
        self._credentials: Credentials | None = None
        """What it asks for. None only in the first start, before it has a user."""
        self._child: subprocess.Popen[bytes] | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def uri(self) -> str:
        """The database's URI, the same across restarts. Raises RuntimeError before the start. Holds the password."""
        if not self._port or self._credentials is None:
            raise RuntimeError("the embedded database has not been started")
        return f"mongodb://{self._credentials.user}:{self._credentials.password}@{_HOST}:{self._port}/"

    @property
    def pid(self) -> int | None:
        """The child's process id; None while no child runs."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the child and wait until it answers. Raises EmbeddedDatabaseError, leaving no process behind."""
        command = self._find_command()
        deadline = asyncio.get_running_loop().time() + _LOCKED_SECONDS
        while True:
            try:
                await self._start_once(command)
            except (_PortTaken, _DirectoryLocked):
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(_POLL_SECONDS)
            except NewerDirectory as error:
                raise EmbeddedDatabaseError(str(error)) from None
            except OSError as error:
                raise EmbeddedDatabaseError(
                    f"cannot use the data directory {self._directory.path}: {error.strerror}"
                ) from None
            else:
                break
        self._watcher = asyncio.create_task(self._watch(command), name="embedded database")
        self._watcher.add_done_callback(_report_failure)

    async def _start_once(self, command: list[str]) -> None:
        if not self._directory.take():
            raise _DirectoryLocked(self._directory.path)
        try:
            check_mark(self._directory.path, engine_version())
            is_new = self._directory.begin()
            self._port = self._find_port()
            self._credentials = self._directory.credentials()
            if self._credentials is None:
                await self._prepare(command, is_new=is_new)
            await self._launch(command)
            assert self._credentials is not None
            await drop_other_users(self._command, self._credentials)
            keep_mark(self._directory.path, engine_version())
        except BaseException:
            await self._end_child(0)
            self._directory.release()
            raise

    def _find_port(self) -> int:
        port = free_port(_HOST)
        if port is None:
            raise EmbeddedDatabaseError(f"{_HOST} has no free port for the embedded database")
        return port

    async def _prepare(self, command: list[str], *, is_new: bool) -> None:
        """Give the database a user, which is only possible while it asks for none: behind a port that nobody knows."""
        await self._launch(command)
        if is_new:
            await self._make_tables()
            self._directory.finish()
        credentials = new_credentials()
        await create_user(self._command, credentials)
        self._directory.keep_credentials(credentials)
        await self._end_child(_PREPARED_SECONDS)
        self._credentials = credentials

    async def _make_tables(self) -> None:
        """Create all tables while the database is empty, instead of at their first write.

        A kill while a table is created leaves a database that can never be opened again.
        """
        for name in range(_SPARE_COLLECTIONS):
            await self._command({"create": str(name), "$db": "prepare"})
        await self._command({"dropDatabase": 1, "$db": "prepare"})

    async def _command(self, document: dict[str, Any]) -> dict[str, Any]:
        answer = await op_msg.command(_HOST, self._port, document, _READY_SECONDS, self._credentials)
        if answer is None or not answer.get("ok"):
            raise EmbeddedDatabaseError(f"the embedded database refuses {next(iter(document))}: {answer}")
        return answer

    async def stop(self, kill_after: float = 5.0) -> None:
        """Stop the child, by force after `kill_after` seconds. No acknowledged write is lost. Safe to repeat."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
            self._watcher = None
        await self._end_child(kill_after)
        self._directory.release()

    def _find_command(self) -> list[str]:
        program = find_program()
        if program is None:
            raise EmbeddedDatabaseError(
                "MONGODB_URI is not set, and the embedded database is not installed; "
                "run: pip install 'turnwire[embedded]'"
            )
        return [program]

    async def _launch(self, command: list[str]) -> None:
        """Start a child and wait until it answers. Leave none behind when raising."""
        child = self._child = self._spawn(command)
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while await self._answering_pid() != child.pid:  # another process may answer on the port
                    self._raise_if_dead(child)
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            await self._end_child(0)
            raise EmbeddedDatabaseError(
                f"the embedded database did not answer in {_READY_SECONDS:.0f} s; its log: {self._directory.log_file}"
            ) from None
        except BaseException:
            await self._end_child(0)
            raise

    async def _answering_pid(self) -> int | None:
        """The process id of the database server that answers on this port; None without one."""
        ask = {"serverStatus": 1, "$db": "admin"}
        answer = await op_msg.command(_HOST, self._port, ask, _ANSWER_SECONDS, self._credentials)
        pid = None if answer is None else answer.get("pid")
        return pid if isinstance(pid, int) else None

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        directory = self._directory
        arguments = [
            *("--config", str(directory.config_file), "--host", _HOST, "--port", str(self._port)),
            *("--storage-path", str(directory.database), "--cache-size", self._cache_size),
            *("--sync-on-commit", "--log-level", "WARNING"),
            *([] if self._credentials is None else ["--auth"]),
            *(["--enable-test-commands"] if self._test_commands else []),
        ]
        guard = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
        log = directory.open_log()
        try:
            # A new session, so that Ctrl-C reaches only the gateway, which then stops the child in order.
            return subprocess.Popen(
                [*guard, *command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "SECANTUS_FORCE_DURABLE": "1"},
                start_new_session=True,
            )
        finally:
            os.close(log)

    def _raise_if_dead(self, child: subprocess.Popen[bytes]) -> None:
        status = child.poll()
        if status is None:
            return
        tail = self._directory.log_tail()
        if "already being managed by another process" in tail:
            raise _DirectoryLocked(self._directory.path)
        if "Address already in use" in tail:
            raise _PortTaken(f"port {self._port} of {_HOST} was taken by another process")
        last = next((line.strip() for line in reversed(tail.splitlines()) if line.strip()), "no output")
        raise EmbeddedDatabaseError(
            f"the embedded database ended at once with status {status}: {last} (log: {self._directory.log_file})"
        )

    async def _watch(self, command: list[str]) -> None:
        """Replace the child whenever it has died, until cancelled."""
        shortest, longest = _BACKOFF_SECONDS
        pause = shortest
        while True:
            await self._until_dead()
            status = self._child.returncode if self._child is not None else None
            _log.warning("the embedded database died with status %s and will be restarted", status)
            await asyncio.sleep(pause)
            try:
                await self._launch(command)
            except (EmbeddedDatabaseError, OSError) as error:
                pause = min(pause * 2, longest)
                _log.error("the embedded database cannot be restarted: %s", error)
            else:
                pause = shortest
                self.restarts += 1
                _log.warning("the embedded database answers again")

    async def _until_dead(self) -> None:
        """Wait until the child has died. Kill one whose storage engine has given up, as on a full disk."""
        polls = 0
        while (child := self._child) is not None and child.poll() is None:
            await asyncio.sleep(_POLL_SECONDS)
            polls += 1
            if polls % _POLLS_PER_PROBE == 0 and await self._is_broken():
                _log.error("the embedded database fails at every command, as it does when the disk is full")
                child.kill()

    async def _is_broken(self) -> bool:
        return await op_msg.is_broken(_HOST, self._port, _ANSWER_SECONDS, self._credentials)

    async def _end_child(self, kill_after: float) -> None:
        child = self._child
        if child is None:
            return
        loop = asyncio.get_running_loop()
        kill_at = loop.time() + kill_after
        next_term = loop.time()
        while child.poll() is None:
            if loop.time() >= kill_at:
                child.kill()
            elif loop.time() >= next_term:
                next_term = loop.time() + 1.0
                child.send_signal(signal.SIGTERM)
                await knock(_HOST, self._port)  # the child notices the signal only when a connection comes in
            await asyncio.sleep(_POLL_SECONDS)
        self._child = None


def _report_failure(watcher: asyncio.Task[None]) -> None:
    if not watcher.cancelled() and (error := watcher.exception()) is not None:
        _log.error("the embedded database is no longer watched", exc_info=error)
