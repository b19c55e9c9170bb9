"""Waits for the end of a child process without looking again and again."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress
from typing import Final

POLL_SECONDS: Final = 0.05
"""Seconds between two looks where the kernel gives no notice."""


async def ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait until the process has ended, for this many seconds at most. Return whether it has."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await _until_ended(process)
    return process.poll() is not None


async def _until_ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:  # not on this kernel
        while process.poll() is None:
            await asyncio.sleep(POLL_SECONDS)
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
