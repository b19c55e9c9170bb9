"""What a process costs: CPU time and memory, read from outside."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psutil
from msgspec import Struct

Figures = dict[str, float]


class Target(Struct, frozen=True):
    """What a load is run against, and the processes whose CPU time is counted."""

    url: str
    """As in `http://127.0.0.1:3000`."""
    server: int
    """Process id."""
    database: int | None = None
    """Process id, where it is a process of this machine."""
    workers: tuple[int, ...] = ()
    """Process ids of those that serve, where that is not `server` alone."""

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, user and system, all threads, to the nanosecond (Linux: clock_getcpuclockid)."""
    return time.clock_gettime((~pid << 3) | 2)


def resident_bytes(pid: int) -> int:
    size: int = psutil.Process(pid).memory_info().rss
    return size


class Meter:
    """Seconds and CPU seconds between `start` and `stop`; several such spans add up."""

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
        """`…_us` of CPU time for each of `count` things done, `{noun}_per_s`, and `seconds`."""
        figures = {
            name.replace("_cpu", "_us"): seconds * 1e6 / count
            for name, seconds in self._total.items()
            if name != "seconds"
        }
        return {f"{noun}_per_s": count / self._total["seconds"], **figures, "seconds": self._total["seconds"]}


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def latencies_ms(name: str, seconds: Sequence[float]) -> Figures:
    return {f"{name}_p50_ms": percentile(seconds, 0.5) * 1e3, f"{name}_p99_ms": percentile(seconds, 0.99) * 1e3}
