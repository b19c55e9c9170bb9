"""How long a start waits for the server of the embedded database. In virtual time, and without a server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.faults.clock import VirtualTimeLoop
from turnwire.store.embedded import child
from turnwire.store.embedded.child import Child, Launch
from turnwire.store.embedded.data_directory import DataDirectory
from turnwire.store.embedded.faults import EmbeddedDatabaseError
from turnwire.store.embedded.program import Program
from turnwire.store.embedded.work import worked_seconds


class Server(Child):
    """A process that counts as a server, which answers after this many seconds."""

    def __init__(self, folder: Path, answers_after: float) -> None:
        super().__init__(Launch(Program(("true",)), DataDirectory(folder), "256M", test_commands=False), 1, None)
        self._answers_at = asyncio.get_running_loop().time() + answers_after

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["true"])

    def _raise_if_dead(self) -> None:
        pass

    async def _answering_pid(self) -> int | None:
        return self._process.pid if asyncio.get_running_loop().time() >= self._answers_at else None

    async def end(self, kill_after: float) -> None:
        self._process.wait()


def wait_for(folder: Path, answers_after: float) -> None:
    async def run() -> None:
        server = Server(folder, answers_after)
        await server.until_ready()
        await server.end(0)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


def works(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Let the server work for this share of the time."""
    monkeypatch.setattr(child, "worked_seconds", lambda _: share * asyncio.get_running_loop().time())


def test_a_server_that_works_is_waited_for_however_long_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each start of the packaged server visits all stored documents: 20 million take a minute."""
    works(monkeypatch, 0.5)
    wait_for(tmp_path, 200)


def test_a_server_that_does_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works(monkeypatch, 0.01)
    with pytest.raises(EmbeddedDatabaseError, match="did not answer"):
        wait_for(tmp_path, 200)


def test_work_is_the_time_that_a_process_has_had_a_processor() -> None:
    before = worked_seconds(os.getpid())
    until = time.process_time() + 0.03
    while time.process_time() < until:
        pass
    assert worked_seconds(os.getpid()) > before
