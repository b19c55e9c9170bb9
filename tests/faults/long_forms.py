"""All fault runs in their long forms, again and again: `python -m tests.faults.soak --long-forms`.

Every round prints its own seeds. The first broken promise ends the rounds; the directory of that run is kept and named.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

import uvloop

from tests.faults.put_backs import play_put_backs
from tests.faults.races import play_schedules
from tests.faults.runs import clients as runs_clients
from tests.faults.runs import gateways as runs_gateways
from tests.faults.runs import machine as runs_machine
from tests.faults.runs import network as runs_network
from tests.faults.runs import process as runs_process

Run = Callable[[Path, int], Awaitable[None]]

RUNS: dict[str, Run] = {
    "gateway-kills": lambda path, seed: runs_process.gateway_kills(path, seed, kills=10),
    "gateway-kills-embedded": lambda path, seed: runs_process.gateway_kills(path, seed, kills=5, embedded=True),
    "database-kills": lambda path, seed: runs_process.database_kills(path, seed, kills=8, embedded=False),
    "database-kills-embedded": lambda path, seed: runs_process.database_kills(path, seed, kills=8, embedded=True),
    "database-stop": lambda path, seed: runs_process.database_stop(path, seed, seconds=30.0),
    "drain": lambda path, seed: runs_process.drains(path, seed, rounds=6),
    "storm": lambda path, seed: runs_process.reconnection_storm(path, seed, clients=500, rounds=3),
    "network": lambda path, seed: runs_network.broken_network(path, seed, seconds=5.0, silence=12.0),
    "failing-commands": lambda path, seed: runs_network.failing_commands(path, seed, seconds=2.0),
    "takeovers": lambda path, seed: runs_clients.takeovers(path, seed, count=500),
    "slow-subscriber": lambda path, seed: runs_clients.slow_subscriber(path, seed, seconds=30.0),
    "idle-crowd": lambda path, seed: runs_clients.idle_crowd(path, seed, idle=5000, pings=15),
    "clock-jumps": lambda path, seed: runs_machine.clock_jumps(path, seed, seconds=5.0, rate=5, whole_machine=True),
    "gateways-fail": lambda path, seed: runs_gateways.gateways_fail(path, seed, rounds=5),
    "redis-fails": lambda path, seed: runs_gateways.redis_fails(path, seed, rounds=3),
    "takeovers-across": lambda path, seed: runs_gateways.takeovers_across(path, seed, seconds=30.0),
    "rolling-restart": runs_gateways.rolling_restart,
    "rolling-restart-nginx": lambda path, seed: runs_gateways.rolling_restart(path, seed, proxy="nginx.conf"),
    "full-disk": lambda path, seed: runs_machine.full_disk(path, seed, seconds=10.0),
}


async def run_once(name: str, seed: int) -> bool:
    """Return whether the run kept all promises. If so, its directory is removed."""
    directory = Path(tempfile.mkdtemp(prefix=f"turnwire-{name}-"))
    try:
        await RUNS[name](directory, seed)
    except Exception:
        traceback.print_exc()
        print(f"FAULTS {name} seed={seed}: FAILED, see {directory}", flush=True)
        return False
    await asyncio.to_thread(shutil.rmtree, directory)
    return True


def play_long_forms(minutes: float, seed: int, only: list[str]) -> bool:
    """Play rounds of all runs, or only of these, until the time is over; at least one round of the first run."""
    end = time.monotonic() + minutes * 60
    for number in count(seed):
        if not only:
            _play_races(number)
        for name in only or RUNS:
            if not uvloop.run(run_once(name, number)):
                return False
            if time.monotonic() >= end:
                return True
    return True


def _play_races(seed: int) -> None:
    for gateways in (1, 2, 3):
        play_schedules(range(seed * 1000, seed * 1000 + 300), gateways)
        play_put_backs(range(seed * 1000, seed * 1000 + 100), gateways)
