"""The CPU time and memory of a process, read from outside."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psutil
from msgspec import Struct

from turnwire.protocol.figures import percentile as percentile_of_sorted

Figures = dict[str, float]


class Target(Struct, frozen=True):
    """The server that a load runs against, and the processes whose CPU time is counted."""

    url: str
    """Such as `http://127.0.0.1:3000`."""
    server: int
    """The server's process id."""
    database: int | None = None
    """The database's process id, if it runs on this machine."""
    workers: tuple[int, ...] = ()
    """The ids of the serving processes, if `server` is not the only one."""
    key: str = ""
    """The API key to send, if the server requires one."""

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, user and system, over all threads (Linux: clock_getcpuclockid)."""
    return time.clock_gettime((~pid << 3) | 2)


def resident_bytes(pid: int) -> int:
    size: int = psutil.Process(pid).memory_info().rss
    return size


class Meter:
    """The seconds and CPU seconds between `start` and `stop`, summed over several spans."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._began: Figures = {}
        self._total: Figures = {}

    def _now(self) -> Figures:
        now = {
            "seconds": time.perf_counter(),
            "client_cpu": time.process_time(),
            "server_cpu": sum(map(cpu_seconds, (self._target.server, *self._target.workers))),
        }
        if self._target.database is not None:
            now["database_cpu"] = cpu_seconds(self._target.database)
        return now

    def start(self) -> None:
        self._began = self._now()

    def stop(self) -> None:
        for name, value in self._now().items():
            self._total[name] = self._total.get(name, 0.0) + value - self._began[name]

    def per(self, count: float, noun: str) -> Figures:
        """Return CPU time per item as `…_us`, items per second as `{noun}_per_s`, and `seconds`, for `count` items."""
        figures = {
            name.replace("_cpu", "_us"): seconds * 1e6 / count
            for name, seconds in self._total.items()
            if name != "seconds"
        }
        return {f"{noun}_per_s": count / self._total["seconds"], **figures, "seconds": self._total["seconds"]}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of unsorted values, of which there must be at least one."""
    found = percentile_of_sorted(sorted(values), share)
    assert found is not None, "there are no values"
    return found


def latencies_ms(name: str, seconds: Sequence[float]) -> Figures:
    return {f"{name}_p50_ms": percentile(seconds, 0.5) * 1e3, f"{name}_p99_ms": percentile(seconds, 0.99) * 1e3}
