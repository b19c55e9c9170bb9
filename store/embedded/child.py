"""One process of the embedded database's server: start, readiness, commands, end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct

from turnwire.store.embedded import die_with_parent, op_msg
from turnwire.store.embedded.data_directory import DataDirectory
from turnwire.store.embedded.ending import POLL_SECONDS, ends_within
from turnwire.store.embedded.faults import DirectoryLocked, EmbeddedDatabaseError, PortTaken
from turnwire.store.embedded.places import HOST, knock, refuses
from turnwire.store.embedded.program import SETTING, Program, environment
from turnwire.store.embedded.scram import DatabaseUser
from turnwire.store.embedded.work import worked_seconds

READY_SECONDS: Final = 60.0
"""Seconds that a start may take in which the server works for less than WORK_SECONDS. Recovery after a kill reads the
whole write-ahead log; 1 to 5 seconds were measured. Each start also visits all stored documents, at 3 µs each."""
WORK_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 3600.0
_START_POLL_SECONDS: Final = 0.005
_ANSWER_SECONDS: Final = 2.0
STRANGER_POLLS: Final = 200
"""After this many answers from another process, the child will never answer."""


class Launch(Struct, frozen=True):
    """How children are started. `cache_size` is text such as 256M."""

    program: Program
    directory: DataDirectory
    cache_size: str
    test_commands: bool


class Child:
    """A server that dies with this process. It requires the given credentials; without any, it requires none."""

    def __init__(self, launch: Launch, port: int, credentials: DatabaseUser | None) -> None:
        """Start the server. Raises OSError."""
        self._launch = launch
        self._port = port
        self._credentials = credentials
        self._process = self._spawn()

    @property
    def pid(self) -> int | None:
        """The server's process id; None once it has ended."""
        return self._process.pid if self._process.poll() is None else None

    @property
    def status(self) -> int | None:
        """The exit status; None while the server runs."""
        return self._process.poll()

    async def until_ready(self) -> None:
        """Wait until the server answers. Raises EmbeddedDatabaseError, leaving no process behind."""
        try:
            async with asyncio.timeout(_LONGEST_SECONDS), asyncio.timeout(READY_SECONDS) as patience:
                await self._until_it_answers(patience)
        except TimeoutError:
            await self.end(0)
            raise EmbeddedDatabaseError(
                f"the embedded database did not answer on port {self._port} of {HOST} in {READY_SECONDS:g} s"
                f"{self._remedy()}; its log: {self._launch.directory.log_file}"
            ) from None
        except BaseException:
            await self.end(0)
            raise

    async def ask(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the server's answer to a command that succeeds. Raises EmbeddedDatabaseError."""
        answer = await op_msg.command(HOST, self._port, document, READY_SECONDS, self._credentials)
        if answer is None or not answer.get("ok"):
            raise EmbeddedDatabaseError(f"the embedded database refuses {next(iter(document))}: {answer}")
        return answer

    async def ends_within(self, seconds: float) -> bool:
        """Wait until the server has ended, for this many seconds at most. Return whether it has."""
        return await ends_within(self._process, seconds)

    async def is_broken(self) -> bool:
        """Return whether the server answers, but fails every command."""
        return await op_msg.is_broken(HOST, self._port, _ANSWER_SECONDS, self._credentials)

    def kill(self) -> None:
        """Kill the server, and whatever it has started."""
        self._signal(signal.SIGKILL)

    async def end(self, kill_after: float) -> None:
        """End the server, by force after `kill_after` seconds."""
        loop = asyncio.get_running_loop()
        kill_at = loop.time() + kill_after
        next_term = loop.time()
        while self._process.poll() is None:
            if loop.time() >= kill_at:
                self.kill()
            elif loop.time() >= next_term:
                next_term = loop.time() + 1.0
                self._signal(signal.SIGTERM)
                await knock(HOST, self._port)  # the packaged server notices the signal when a connection comes in
            await asyncio.sleep(POLL_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        """Signal the process group, because a script that waits for the server it has started would otherwise end
        alone."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    async def _until_it_answers(self, patience: asyncio.Timeout) -> None:
        """Wait until the server answers, with new patience whenever it has worked for a while."""
        strange, worked = 0, 0.0
        while (answering := await self._answering_pid()) != self._process.pid:  # another process may answer on the port
            self._raise_if_dead()
            strange += answering is not None
            if strange > STRANGER_POLLS:
                raise EmbeddedDatabaseError(
                    f"process {answering} answers as the embedded database instead of {self._process.pid}, which was "
                    f"started: a script named in {SETTING} must start the server with exec"
                )
            if (now := worked_seconds(self._process.pid)) >= worked + WORK_SECONDS:
                worked = now
                patience.reschedule(asyncio.get_running_loop().time() + READY_SECONDS)
            await asyncio.sleep(_START_POLL_SECONDS)

    async def _answering_pid(self) -> int | None:
        """Return the process id of the database server that answers on this port; None if none answers."""
        if refuses(HOST, self._port):
            return None
        question = {"serverStatus": 1, "$db": "admin"}
        answer = await op_msg.command(HOST, self._port, question, _ANSWER_SECONDS, self._credentials)
        pid = None if answer is None else answer.get("pid")
        return pid if isinstance(pid, int) else None

    def _spawn(self) -> subprocess.Popen[bytes]:
        directory = self._launch.directory
        arguments = [
            *("--config", str(directory.config_file), "--host", HOST, "--port", str(self._port)),
            *("--storage-path", str(directory.database), "--cache-size", self._launch.cache_size),
            *("--sync-on-commit", "--log-level", "WARNING"),
            *([] if self._credentials is None else ["--auth"]),
            *(["--enable-test-commands"] if self._launch.test_commands else []),
        ]
        guard = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
        log = directory.open_log()
        try:
            # A new session, so that Ctrl-C reaches only the gateway, which then stops the child in order.
            return subprocess.Popen(
                [*guard, *self._launch.program.command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
                start_new_session=True,
            )
        finally:
            os.close(log)

    def _raise_if_dead(self) -> None:
        status = self._process.poll()
        if status is None:
            return
        directory = self._launch.directory
        tail = directory.log_tail()
        if "already being managed by another process" in tail:
            raise DirectoryLocked(directory.path)
        if "Address already in use" in tail:
            raise PortTaken(HOST, self._port)
        last = next((line.strip() for line in reversed(tail.splitlines()) if line.strip()), "no output")
        raise EmbeddedDatabaseError(
            f"the embedded database ended at once with status {status}: {last}{self._remedy()} "
            f"(log: {directory.log_file})"
        )

    def _remedy(self) -> str:
        if self._launch.program.is_packaged:
            return ""
        return f"; the command of {SETTING} must take the arguments of the packaged server and listen where they say"
