"""Computes what machine N concurrent calls need, from the costs in docs/performance.md. Pure.

Those costs were measured on one slow virtual machine with the embedded database. A faster machine needs less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

PACED: Final = ((200, 907, 646), (500, 645, 481), (1000, 496, 410))
"""Events per second of one process, with one subscriber each → microseconds of gateway and database for each event."""
BUSY: Final = (16.1, 46.0)
"""Microseconds of gateway and database for an event at full speed, one in each frame."""
DELIVERY: Final = 8.3
"""Microseconds of the gateway to deliver an event to one subscriber."""
CALL: Final = 250.0
"""Microseconds of the gateway to connect, create and claim."""
WRITE_EVENTS: Final = 30
"""How many events a write of a session costs the database."""
CALL_WRITES: Final = 3
"""Writes of the session in each call: when it is created, claimed and ended."""
EVENTS_A_WRITE: Final = 64
"""On the embedded database, a call has one more write for this many events."""
WRITE_CORES: Final = WRITE_EVENTS * BUSY[1] / 1e6
SESSION_BYTES: Final = 21_000
CONNECTION_BYTES: Final = 16_000
EVENT_ID_BYTES: Final = 135
REMEMBERED_EVENTS: Final = 1000
"""A session keeps the ids of its events since the last full thousand in memory, so of fewer than this many."""
EVENT_DISK_BYTES: Final = 1_300
PROCESS_BYTES: Final = 80_000_000
"""Bytes of a gateway process that holds nothing."""

FULL: Final = 0.6
"""The share of a core that may be in use. The rest is for peaks, and for taking over from another gateway."""
HELD_BYTES: Final = 2 * 256 * 1024 * 1024
"""Bytes that the default bounds let wait for the storage and for slow readers."""
FLUSH_INTERVALS: Final = (3, 10, 30)
"""Values of TURNWIRE_FLUSH_INTERVAL. Your own database has one more write of each call in each interval. More than
TURNWIRE_ABANDON_AFTER / 8 has no effect."""
FLUSH_CORES: Final = 0.1
"""The share of a core that these writes may take. The interval is chosen accordingly."""
CORES_OF_A_PRIMARY: Final = 8
USUAL_CALLS: Final = (20, 100, 500, 2_000, 10_000, 50_000)
DEFAULT_MAX_CONNECTIONS: Final = 20_000
DEFAULT_MAX_LIVE_SESSIONS: Final = 50_000


@dataclass(frozen=True)
class Load:
    """What the calls are like."""

    calls: int
    """Concurrent calls in the busiest hour."""
    events: float = 0.5
    """Events per second in each call."""
    minutes: float = 3
    """Minutes that a call lasts."""
    watchers: int = 1
    """Subscribers of each call."""
    hours: float = 8
    """Hours per day with this load."""

    @property
    def rate(self) -> float:
        """Events per second in all calls."""
        return self.calls * self.events

    @property
    def calls_a_second(self) -> float:
        return self.calls / (60 * self.minutes)


@dataclass(frozen=True)
class Size:
    """The machines for a load. Cores are as busy as FULL allows, or less."""

    load: Load
    processes: int
    process_bytes: int
    """Memory of each gateway process, including what its bounds let wait."""
    connections: int
    """Cores of each process."""
    database_cores: int
    embedded: bool
    """Whether the embedded database suffices."""
    flush_interval: int
    disk_bytes_a_day: float

    @property
    def shards(self) -> int:
        return math.ceil(self.database_cores / CORES_OF_A_PRIMARY)

    @property
    def settings(self) -> Iterator[str]:
        """The settings that must differ from their defaults."""
        if self.flush_interval != FLUSH_INTERVALS[0]:
            yield f"TURNWIRE_FLUSH_INTERVAL={self.flush_interval}"
        if self.connections > FULL * DEFAULT_MAX_CONNECTIONS:
            yield f"TURNWIRE_MAX_CONNECTIONS={_rounded_up(self.connections / FULL, 10_000)}"
        if self.load.calls / self.processes > FULL * DEFAULT_MAX_LIVE_SESSIONS:
            yield f"TURNWIRE_MAX_LIVE_SESSIONS={_rounded_up(self.load.calls / self.processes / FULL, 10_000)}"


def size_of(load: Load) -> Size:
    """Return the machines that this load needs."""
    processes = _fewest(lambda count: _gateway_cores(load, count) / count <= FULL)
    needed, flush = _database_cores(load, processes), FLUSH_INTERVALS[0]
    embedded_cores = needed + load.rate / EVENTS_A_WRITE * WRITE_CORES
    embedded = processes == 1 and embedded_cores <= FULL
    if not embedded:
        enough = (each for each in FLUSH_INTERVALS if _flush_cores(load, each) <= FLUSH_CORES)
        flush = next(enough, FLUSH_INTERVALS[-1])
    cores = embedded_cores if embedded else needed + _flush_cores(load, flush)
    return Size(
        load,
        processes,
        process_bytes=_memory(load, processes),
        connections=math.ceil(load.calls * (1 + load.watchers) / processes),
        database_cores=math.ceil(cores / FULL),
        embedded=embedded,
        flush_interval=flush,
        disk_bytes_a_day=load.rate * 3600 * load.hours * EVENT_DISK_BYTES,
    )


def _fewest(is_enough: Callable[[int], bool]) -> int:
    count = 1
    while not is_enough(count):
        count += 1
    return count


def _gateway_cores(load: Load, processes: int) -> float:
    more = load.rate * max(0, load.watchers - 1) * DELIVERY + load.calls_a_second * CALL
    return processes * _cores_for_events(load.rate / processes, 0, DELIVERY) + more / 1e6


def _database_cores(load: Load, processes: int) -> float:
    """Return the cores of the database. Each process makes its own commits."""
    writes = CALL_WRITES * load.calls_a_second * WRITE_CORES
    return processes * _cores_for_events(load.rate / processes, 1, 0) + writes


def _flush_cores(load: Load, interval: float) -> float:
    """Return the cores for the lazy writes. Each running call is written once in each interval."""
    return load.calls / interval * WRITE_CORES


def _cores_for_events(rate: float, side: int, delivery: float) -> float:
    """Return the cores that one process (side 0) or its database (side 1) needs for this many events per second.

    Between measured rates, the cores grow linearly; above them, by the cost of an event at full speed.
    """
    before, cores_before = 0.0, 0.0
    for measured, *costs in PACED:
        cores = measured * costs[side] / 1e6
        if rate <= measured:
            return cores_before + (cores - cores_before) * (rate - before) / (measured - before)
        before, cores_before = measured, cores
    return cores_before + (rate - before) * (BUSY[side] + delivery) / 1e6


def _memory(load: Load, processes: int) -> int:
    """Return the memory of one process in bytes."""
    events = min(REMEMBERED_EVENTS, 60 * load.minutes * load.events)
    call = SESSION_BYTES + load.watchers * CONNECTION_BYTES + EVENT_ID_BYTES * events
    return math.ceil(PROCESS_BYTES + HELD_BYTES + load.calls / processes * call)


def _rounded_up(number: float, step: int) -> int:
    return math.ceil(number / step) * step


# --- words -----------------------------------------------------------------------------------------------------------

HEAD: Final = (
    "concurrent calls",
    "events a second",
    "gateways",
    "memory of each",
    "database",
    "disk a day",
    "settings",
)


def row(size: Size) -> tuple[str, ...]:
    """Return the cells of a table for this size, under HEAD."""
    return (
        f"{size.load.calls:,}",
        f"{size.load.rate:,.0f}",
        times(size.processes, "core", "process", "processes"),
        f"{_rounded_up(size.process_bytes / 2**20, 128) / 1024:g} GiB",
        database(size),
        f"{size.disk_bytes_a_day / 1e9:,.1f} GB",
        ", ".join(f"`{each}`" for each in size.settings) or "the defaults",
    )


def times(count: int, thing: str, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}, a {thing} each" if count > 1 else f"1 {one}, 1 {thing}"


def database(size: Size) -> str:
    if size.embedded:
        return "embedded, 1 core"
    cores = "1 core" if size.database_cores == 1 else f"{min(size.database_cores, CORES_OF_A_PRIMARY)} cores"
    members = "replica set" if size.shards == 1 else f"{size.shards} shards"
    return f"{members}, {cores} {'for its primary' if size.shards == 1 else 'for each primary'}"


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table with these rows, under HEAD."""
    lines = [HEAD, ("---",) * len(HEAD), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines).replace("| --- ", "|---").replace("|--- |", "|---|")


def assumptions(load: Load) -> Iterator[str]:
    """Return the assumptions behind the sizes, one sentence each."""
    yield (
        f"A call lasts {load.minutes:g} minutes, sends {load.events:g} events a second, and has "
        f"{load.watchers} watcher{'s' * (load.watchers != 1)}. The load lasts {load.hours:g} hours a day."
    )
    yield (
        f"Cores are at most {FULL:.0%} busy, and as fast as the two slow virtual cores of docs/performance.md. Measure "
        "yours with `make bench`."
    )
    yield (
        "Memory includes what the default bounds allow to wait for the database and for slow readers. The disk keeps "
        "everything, once; each member of a replica set has it."
    )
    yield "MongoDB has not been measured: it is assumed to cost as much as the embedded database."
