"""Runs in which the machine itself misbehaves: its clock jumps, its disk is full."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.faults_rig import FAST_HEARTBEAT, MIB, database_in, gateway_on, now, serving
from tests.support.load import Target
from tests.support.load_fleet import Fleet, report
from tests.support.processes import ROOT

HOUR = 3600
DAY = 24 * HOUR


def faketime_library() -> Path | None:
    """Debian's package faketime keeps it where the linker does not look."""
    command = shutil.which("faketime")
    if command is None:
        return None
    folders = [Path("/usr/lib"), Path("/usr/local/lib")]
    return next((found for folder in folders for found in folder.glob("**/faketime/libfaketimeMT.so.1")), None)


def install_faketime() -> Path:
    """The library; installed by apt-get when it is not there. Raises AssertionError when that cannot be."""
    if faketime_library() is None:
        subprocess.run(["apt-get", "install", "-y", "-qq", "faketime"], check=False, capture_output=True)
    library = faketime_library()
    assert library is not None, "libfaketime is needed: apt-get install faketime"
    return library


SLEEP_AS_USUAL = """
import threading, time
time.sleep = lambda seconds: threading.Event().wait(seconds) and None
"""
"""Under libfaketime 0.9.10 the system call behind Python's time.sleep fails with EINVAL."""


class FakeClock:
    """The wall clock of Python processes that are started with `env`; the monotonic one stays true."""

    def __init__(self, directory: Path, library: Path) -> None:
        (directory / "sitecustomize.py").write_text(SLEEP_AS_USUAL)
        self._file = directory / "clock"
        self.jump(0)
        self.env = {
            "LD_PRELOAD": str(library),
            "PYTHONPATH": f"{directory}{os.pathsep}{ROOT}",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def jump(self, seconds: int) -> None:
        """Set it to this offset from the true time."""
        unfinished = self._file.with_suffix(".part")
        unfinished.write_text(f"{seconds:+d}s\n")
        unfinished.replace(self._file)


async def clock_jumps(directory: Path, seed: int, *, seconds: float) -> None:
    """The wall clock of the gateway and of its database goes back an hour, forward a day and back again."""
    target = Target()
    clock = FakeClock(directory, install_faketime())
    gateway = gateway_on(directory / "gateway", None, env=clock.env)
    async with (
        serving(gateway, target),
        Fleet(target, seed, publishers=10, subscribers_each=1, rate=25, prefix="clock") as fleet,
    ):
        await fleet.all_acked(since=0.0)
        for offset in (-HOUR, DAY, 0):
            clock.jump(offset)
            await asyncio.sleep(seconds)
            await fleet.all_acked(since=now())
        clients = (*fleet.publishers, *fleet.subscribers)
        closes = [code for client in clients for code in client.closes]
        assert not closes, f"clients were closed with {closes}"
        statuses = {await fleet.status_of(history.session_id) for history in fleet.histories}
        assert statuses == {"active"}
        await fleet.settle()
        days = {entry.timestamp[:10] for history in fleet.histories for entry in history.log}
        assert len(days) > 1, "the gateway's clock did not jump"
    report("clock-jumps", seed, days=len(days), **fleet.figures())


@contextmanager
def small_disk(directory: Path, mebibytes: int) -> Iterator[Path]:
    """A file system of this size; needs root."""
    mount = directory / "disk"
    mount.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs"]
    subprocess.run(["mount", *options, str(mount)], check=True, capture_output=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True, capture_output=True)


async def full_disk(directory: Path, seed: int, *, seconds: float) -> None:
    """The disk of the database is full for a while: no acks then, and all goes on when there is space again."""
    target = Target()
    with small_disk(directory, 96) as disk:
        async with (
            database_in(disk / "database") as database,
            serving(gateway_on(directory / "gateway", f"{database.uri}?{FAST_HEARTBEAT}"), target),
            Fleet(target, seed, publishers=10, subscribers_each=1, rate=50, prefix="disk") as fleet,
        ):
            await fleet.all_acked(since=0.0)
            ballast = disk / "ballast"
            filled = _fill(ballast)
            last = now()
            while last > now() - 1.0:  # what the database has set aside is used up first
                _fill(ballast)
                await asyncio.sleep(0.1)
                last = max((came for each in fleet.publishers for came, _ in each.acked), default=0.0)
            stopped = now()
            await asyncio.sleep(seconds)
            assert fleet.acks(stopped, now()) == 0, "there were acks with the disk full"
            ballast.unlink()
            freed = now()
            await fleet.all_acked(since=freed)
            recovered = now() - freed
            await fleet.settle()
            figures = {"filled_mib": filled / MIB, "recovered_s": recovered, "restarts": database.restarts}
            report("full-disk", seed, seconds=seconds, **figures, **fleet.figures())


def _fill(ballast: Path) -> int:
    """Take all space there is left; returns the bytes taken in all."""
    with ballast.open("ab", buffering=0) as file:
        try:
            while file.write(bytes(64 * 1024)):
                pass
        except OSError:
            return os.fstat(file.fileno()).st_size
    raise AssertionError("the disk has no end")
