"""Runs in which the machine itself misbehaves: its clock jumps, its disk is full."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from tests.support.faults.rig import FAST_HEARTBEAT, database_in, eventually, gateway_on, now, serving
from tests.support.load.client import Target
from tests.support.load.fleet import Fleet, report
from tests.support.processes import ROOT
from turnwire.protocol.times import parse_time
from turnwire.store.embedded.server import EmbeddedDatabase

HOUR = 3600
DAY = 24 * HOUR


def faketime_library() -> Path | None:
    """Return the library of Debian's package faketime, or None if it is not installed."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


# Under libfaketime 0.9.10 the system call behind Python's time.sleep fails with EINVAL.
_SLEEP_AS_USUAL = """
import threading, time
time.sleep = lambda seconds: threading.Event().wait(seconds) and None
"""
_WITHOUT_LIBRARY = """
import os, pathlib, time
true = time.time_ns
offset = lambda: int(pathlib.Path(os.environ["FAKETIME_TIMESTAMP_FILE"]).read_text().strip().rstrip("s"))
time.time_ns = lambda: true() + offset() * 1_000_000_000
time.time = lambda: time.time_ns() / 1e9
"""


class FakeClock:
    """The wall clock of Python processes started with `env`, which read it again every second.

    The monotonic clock stays true. Without libfaketime, Python's own clock is changed.
    """

    def __init__(self, directory: Path, library: Path | None) -> None:
        (directory / "sitecustomize.py").write_text(_WITHOUT_LIBRARY if library is None else _SLEEP_AS_USUAL)
        self._file = directory / "clock"
        self.jump(0)
        self.env = {
            "PYTHONPATH": f"{directory}{os.pathsep}{ROOT}",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_RESET": "1",
        }
        if library is not None:
            self.env["LD_PRELOAD"] = str(library)

    def jump(self, seconds: int) -> None:
        """Set the clock to this offset from the true time."""
        unfinished = self._file.with_suffix(".part")
        unfinished.write_text(f"{seconds:+d}s\n")
        unfinished.replace(self._file)


async def clock_jumps(directory: Path, seed: int, *, seconds: float, rate: float, whole_machine: bool = False) -> None:
    """The gateway's wall clock jumps back an hour, forward a day, and back; with `whole_machine` the database's too."""
    target = Target()
    clock = FakeClock(directory, faketime_library())
    async with AsyncExitStack() as running:
        uri = None
        if not whole_machine:
            database = await running.enter_async_context(database_in(directory / "database"))
            uri = f"{database.uri}?{FAST_HEARTBEAT}"
        await running.enter_async_context(serving(gateway_on(directory / "gateway", uri, env=clock.env), target))
        fleet = await running.enter_async_context(
            Fleet(target, seed, publishers=10, subscribers_each=1, rate=rate, prefix="clock", commands=False)
        )
        await fleet.all_acked(since=0.0)
        given = []
        for offset in (-HOUR, DAY, 0):
            clock.jump(offset)
            await eventually(partial(_shows, fleet, offset), f"events at {offset:+d} s")
            given += [await fleet.create_unnamed() for _ in range(20)]
            await asyncio.sleep(seconds)
            await fleet.all_acked(since=now())
        assert len(set(given)) == len(given), "a sessionId was given twice"
        closes = [code for client in (*fleet.publishers, *fleet.subscribers) for code in client.closes]
        assert not closes, f"clients were closed with {closes}"
        statuses = {await fleet.status_of(history.session_id) for history in fleet.histories}
        assert statuses == {"active"}
        await fleet.settle()
        report("clock-jumps", seed, jumps=3, whole_machine=whole_machine, **fleet.figures())


def _shows(fleet: Fleet, offset: int) -> bool:
    """Return whether the newest event of the first session has about that time."""
    newest = fleet.histories[0].followings[-1].received[-1]
    return abs((parse_time(newest.timestamp) - datetime.now(UTC)).total_seconds() - offset) < HOUR / 4


class Disk(Protocol):
    """A place for a database, which can be filled up."""

    def fill(self) -> None: ...
    def free(self) -> None: ...


class SmallDisk:
    """A separate file system, which ballast fills."""

    def __init__(self, mount: Path) -> None:
        self._ballast = mount / "ballast"

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(64 * 1024)):
                pass

    def free(self) -> None:
        self._ballast.unlink()


class NoMoreWrites:
    """The substitute if nothing can be mounted: the kernel refuses all file writes of the database's process."""

    def __init__(self, database: EmbeddedDatabase) -> None:
        self._database = database

    def fill(self) -> None:
        self._limit(0)

    def free(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        if self._database.pid is not None:
            resource.prlimit(self._database.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def mounted(directory: Path, mebibytes: int) -> Iterator[bool]:
    """Mount a file system of this size there. Return False if that is not allowed."""
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(directory)]
    done = (
        shutil.which("mount") is not None and subprocess.run(command, check=False, capture_output=True).returncode == 0
    )
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", "-l", str(directory)], check=True, capture_output=True)


async def full_disk(directory: Path, seed: int, *, seconds: float, mount: bool = True) -> None:
    """The database's disk is full for a while: no acks meanwhile, and everything continues when there is space
    again."""
    target = Target()
    place = directory / "disk"
    with mounted(place, 96) if mount else nullcontext(False) as is_mounted:
        async with (
            database_in(place / "database") as database,
            serving(gateway_on(directory / "gateway", f"{database.uri}?{FAST_HEARTBEAT}"), target),
            Fleet(target, seed, publishers=20, subscribers_each=1, rate=50, prefix="disk") as fleet,
        ):
            disk: Disk = SmallDisk(place) if is_mounted else NoMoreWrites(database)
            await fleet.all_acked(since=0.0)
            filling = asyncio.create_task(_keep_full(disk))
            last = now()
            while last > now() - 1.0:  # the space that the database has set aside is used up first
                await asyncio.sleep(0.1)
                last = max((came for each in fleet.publishers for came, _ in each.acked), default=0.0)
            stopped = now()
            await asyncio.sleep(seconds)
            assert fleet.acks(stopped, now()) == 0, "there were acks with the disk full"
            filling.cancel()
            await asyncio.wait([filling])
            disk.free()
            freed = now()
            await fleet.all_acked(since=freed)
            recovered = now() - freed
            await fleet.settle()
            figures = {"mounted": is_mounted, "recovered_s": recovered, "restarts": database.restarts}
            report("full-disk", seed, seconds=seconds, **figures, **fleet.figures())


async def _keep_full(disk: Disk) -> None:
    """Keep the disk full, whatever becomes free, and whichever process replaces a database that has died."""
    while True:
        disk.fill()
        await asyncio.sleep(0.02)
