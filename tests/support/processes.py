"""Gateways in their own processes, stopped, killed and started again as by a supervisor or an accident."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import psutil

from turnwire.gateway.config import Config, environment_name

ROOT: Final = Path(__file__).resolve().parents[2]
_READY: Final = re.compile(r"turnwire listening on (http://[^\s\"]+)")
_POLL_SECONDS: Final = 0.02
EMBEDDED_COMMAND: Final = os.environ.get("TURNWIRE_TEST_EMBEDDED_COMMAND")
"""Another server for the databases of a run of tests; None is the packaged one."""


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without the gateway's settings, plus `extra`. Our packages are importable."""
    settings = {environment_name(field) for field in Config.model_fields}
    inherited = {name: value for name, value in os.environ.items() if name not in settings}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(extra or {})}


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
    """Block until the condition holds. Raises AssertionError after `timeout` seconds, saying `what` did not happen."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(_POLL_SECONDS)


def is_running(pid: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def running_python(
    *args: str, env: Mapping[str, str] | None = None, stderr: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """Run `python …` in a clean environment, with its output piped. The end of the block kills it if need be."""
    process = subprocess.Popen(
        [sys.executable, *args],
        cwd=ROOT,
        env=clean_environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


class GatewayProcess:
    """`turnwire serve` as a child process on a data directory. `with` or `async with` starts it and waits until it is
    ready.

    Without `mongodb_uri` its embedded database is there. `env` sets variables, `args` adds options. It listens on a
    free port unless `port` names one. After `kill` or `terminate`, `start` starts it again. Leaving the block kills it.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        mongodb_uri: str | None = None,
        mongodb_database: str | None = None,
        port: int = 0,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        ready_timeout: float = 30.0,
    ) -> None:
        self.data_dir = data_dir
        self.lines: list[str] = []
        """Everything it has written to standard output and error, over all its starts."""
        self._ready_timeout = ready_timeout
        self._env = {"TURNWIRE_LOG_FORMAT": "console", "TURNWIRE_DATA_DIR": str(data_dir), **(env or {})}
        if EMBEDDED_COMMAND is not None:
            self._env.setdefault("TURNWIRE_EMBEDDED_COMMAND", EMBEDDED_COMMAND)
        if mongodb_uri is not None:
            self._env["MONGODB_URI"] = mongodb_uri
        if mongodb_database is not None:
            self._env["MONGODB_DATABASE"] = mongodb_database
        self._command = [sys.executable, "-m", "turnwire", "serve", "--port", str(port), *args]
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._first_line = 0

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None, "not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        """The URL of the present process, such as `http://127.0.0.1:34567`."""
        url = self._url()
        assert url is not None, "not ready"
        return url

    @property
    def ws_url(self) -> str:
        """Such as `ws://127.0.0.1:34567`."""
        return self.url.replace("http", "ws", 1)

    @property
    def database_pid(self) -> int:
        """Return the process of its embedded database."""
        (child,) = psutil.Process(self.pid).children()
        pid: int = child.pid
        return pid

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def spawn(self) -> None:
        """Start the process without waiting. It runs in its data directory, so that it reads no `.env` of ours."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._first_line = len(self.lines)
        process = self._process = subprocess.Popen(
            self._command,
            cwd=self.data_dir,
            env=clean_environment(self._env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read_lines, args=(process,), daemon=True)
        self._reader.start()

    def start(self) -> None:
        """Start the process and wait until it says that it listens."""
        self.spawn()
        wait_until(self._ready_or_dead, f"ready; it wrote:\n{self.output}", self._ready_timeout)
        assert self._url() is not None, f"ended with status {self.process.returncode}:\n{self.output}"

    def wait_for_line(self, text: str, timeout: float = 20.0) -> str:
        """Wait for the first line of the present process that contains this text, and return it."""
        wait_until(lambda: self._find(text) is not None, f"a line with {text!r}; it wrote:\n{self.output}", timeout)
        line = self._find(text)
        assert line is not None
        return line

    def kill(self) -> None:
        """Send SIGKILL, as in a crash."""
        self.process.kill()
        self.wait()

    def interrupt(self, timeout: float = 15.0) -> int:
        """Send SIGINT to its process group, as Ctrl-C on a terminal does. Return its exit status."""
        os.killpg(self.pid, signal.SIGINT)
        return self.wait(timeout)

    def terminate(self, timeout: float = 15.0) -> int:
        """Send SIGTERM. Return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def wait(self, timeout: float = 15.0) -> int:
        """Wait until it has ended and all its lines are read. Return its exit status."""
        status = self.process.wait(timeout)
        if self._reader is not None and self.process.stdout is not None:
            self._reader.join(timeout)
            self.process.stdout.close()
        return status

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self.wait()

    def _read_lines(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))

    def _find(self, text: str) -> str | None:
        return next((line for line in self.lines[self._first_line :] if text in line), None)

    def _url(self) -> str | None:
        found = _READY.search(self._find("turnwire listening on") or "")
        return found.group(1) if found else None

    def _ready_or_dead(self) -> bool:
        return self._url() is not None or self.process.poll() is not None
