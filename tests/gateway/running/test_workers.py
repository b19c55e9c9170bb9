"""The workers of a parent process, with stand-ins for their processes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

import pytest

from tests.support.sockets import until
from turnwire.gateway.config import Config
from turnwire.gateway.running import workers
from turnwire.gateway.running.systemd import Systemd


class StandIn:
    """A worker that takes a while to start."""

    alive: ClassVar[list[StandIn]] = []
    starting = 0

    def __init__(self, *_: object) -> None:
        self._gone = asyncio.Event()

    async def start(self) -> None:
        StandIn.starting += 1
        await asyncio.sleep(0.05)
        StandIn.starting -= 1
        self.alive.append(self)

    async def wait(self) -> int:
        await self._gone.wait()
        return 1

    async def stop(self) -> None:
        self._gone.set()
        if self in self.alive:
            self.alive.remove(self)

    def tidy(self) -> None:
        pass


async def test_a_worker_that_dies_while_the_workers_are_replaced_is_replaced_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "turnwire")
    StandIn.alive.clear()
    monkeypatch.setattr(workers, "_Worker", StandIn)
    monkeypatch.setattr(workers, "_FIRST_PAUSE", 0.01)
    parent = workers.Workers(Config(), 2, tmp_path, {"PORT": "1"}, Systemd(None, None))
    serving = asyncio.create_task(parent.serve())
    await until(lambda: "listening" in caplog.text, "the workers")
    before = list(StandIn.alive)
    await before[0].stop()
    parent._restart.set()
    await until(lambda: "all workers have been replaced" in caplog.text, "the replacement")
    await until(lambda: StandIn.starting == 0, "a second replacement, if there is one")
    assert len(StandIn.alive) == 2
    assert not {*before} & {*StandIn.alive}
    parent._stopping.set()
    await serving
    assert StandIn.alive == []
