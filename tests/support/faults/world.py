"""A whole world in one process and in virtual time: gateways without sockets, a model of the database, and clients.

The gateways are the real live sessions, event log and session store. Everything that happens follows from the seed.
"""

from __future__ import annotations

import asyncio
import random as global_random
from collections import defaultdict
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.support.faults.bus import LossyHub, LossyLine
from tests.support.faults.clock import VirtualTimeLoop
from tests.support.faults.database import Copy, Document, MemoryDatabase
from tests.support.faults.line import Line
from tests.support.faults.promises import Promises
from tests.support.history import Entry, History, content_of
from turnwire.gateway.config import Config
from turnwire.gateway.running.periodic import Periodic
from turnwire.gateway.running.sessions import SessionParts
from turnwire.gateway.sessions.log_tails import LogTails
from turnwire.gateway.telemetry.metrics import Metrics
from turnwire.protocol.errors import TurnwireError
from turnwire.store.event_documents import position_key
from turnwire.store.mongo import Store

SHARED = "shared"
"""Events with this prefix are sent by publishers and by REST, so they say nothing about an epoch."""
POISON = "poison"
"""The database refuses events with this in their id."""
CONFIG = Config(
    storage_timeout=5.0,
    rest_timeout=3.0,
    flush_interval=0.5,
    idle_evict=1.0,
    abandon_after=8.0,
    end_grace=1.0,
    max_live_sessions=3,
    feed_interval=1.0,
)
_BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
_LONGEST_SECONDS = 600.0
"""Virtual seconds. If a run takes longer after all trouble is over, some part of it waits for ever."""


class Gateway:
    """One gateway process after another, each with its own line to the database."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.starts = 0
        self.at_crash: list[Callable[[], None]] = []
        """How the clients of the present process learn of its death."""
        self.start()

    @property
    def process(self) -> str:
        return f"{self.name}-{self.starts}"

    def start(self) -> None:
        self.starts += 1
        self.line = Line(self.world.database, self.world.trouble)
        self.store = Store(self.line, "model")
        self.line.send_at_once(self.store)
        clock = asyncio.get_running_loop().time
        parts = self.parts = SessionParts(
            self.world.config, self.store, self.world.metrics, clock, bus=self.world.line()
        )
        parts.turns.clock = clock  # no pause because the machine is slow
        self._periodic = Periodic()
        parts.start(self._periodic)

        def stamp(document: Document) -> None:
            if "eventId" in document and not document["eventId"].startswith((SHARED, "control.")):
                document["epoch"] = parts.sessions.live[document["sessionId"]].state.record.epoch

        self.line.stamp = stamp

    async def crash(self, *, leaving: bool = False) -> None:
        """Lose everything in memory and start anew. Nothing more goes out; what is under way may still arrive. A
        gateway that is `leaving` first stores what it knows about logs."""
        if leaving:
            await LogTails(self.store, self.parts.sessions).save(1.0)
        self.line.cut = True
        stop, store = self.stop(), self.store
        at_crash, self.at_crash = self.at_crash, []
        for notice in at_crash:
            notice()
        self.start()
        await stop
        await store.close()

    def stop(self) -> Coroutine[Any, Any, None]:
        """Return an awaitable that ends the present process's tasks."""
        periodic, parts = self._periodic, self.parts

        async def end() -> None:
            await periodic.stop()
            await parts.stop()

        return end()


class World:
    """Gateways, database, clients and their histories. `run` plays one schedule, the one of its seed."""

    def __init__(
        self, seed: int, *, gateways: int, sessions: int = 2, hub: LossyHub | None = None, backups: bool = False
    ) -> None:
        """With a `hub`, the gateways hear of each other through it, and by asking the database. With `backups`, the
        database is restored from older copies now and then, and answers are forged."""
        self.random = Random(seed)
        self._hub = hub
        global_random.seed(seed)  # the pauses between attempts
        self.trouble = self.random.choice([0.0, 0.1, 0.3, 0.5])
        self.supervisors = 0
        """The number of supervisors that still ask."""
        self.calm = False
        """Whether all trouble is over."""
        self.metrics = Metrics()
        self.config = (
            CONFIG if gateways == 1 and not backups else CONFIG.model_copy(update={"mongodb_uri": "mongodb://model"})
        )
        self.database = MemoryDatabase(self.random)
        self.database.router_forgets = seed % 2 == 1
        self.database.forges = 0.05 if backups else 0.0
        self.backups = backups
        self.put_back_at = 0.0
        """When an older copy was last restored, on the loop's clock."""
        self.acked: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
        """Session → (time, seq, eventId) of everything that publishers have been told."""
        self.histories = {f"s{number}": History(f"s{number}") for number in range(sessions)}
        self.gateways = [Gateway(self, name) for name in "ABC"[:gateways]]
        self.promises = Promises(self.config)
        self.database.watch = self.promises.stored
        self.promises.holds = self._holds
        self.database.refuses = lambda document: POISON in document.get("eventId", "")
        self._last_stamp = _BEGIN
        self.errors: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.errors.append(str(context)))

    def line(self) -> LossyLine | None:
        return None if self._hub is None else self._hub.line()

    def gateway(self) -> Gateway:
        return self.random.choice(self.gateways)

    def now(self) -> datetime:
        return _BEGIN + timedelta(milliseconds=int(asyncio.get_running_loop().time() * 1000))

    def stamp(self) -> datetime:
        """Return the wall clock that the gateways see. It never repeats, which shows who has stored an event."""
        self._last_stamp = max(self._last_stamp + timedelta(milliseconds=1), self.now())
        return self._last_stamp

    async def pause(self, longest: float) -> None:
        await asyncio.sleep(self.random.uniform(0, longest))

    async def create_sessions(self) -> None:
        for session_id in self.histories:
            created = False
            while not created:
                try:
                    requests = self.gateway().parts.requests
                    await requests.create(session_id=session_id, language="en", metadata={}, status="initiated")
                    created = True
                except TurnwireError:
                    await self.pause(0.1)

    async def play(self, writers: list[Coroutine[Any, Any, None]], readers: list[Coroutine[Any, Any, None]]) -> None:
        """Run the clients amid crashes and failures of the primary, then in calm until all of them are done."""
        async with asyncio.TaskGroup() as group:
            writing = [group.create_task(writer) for writer in writers]
            reading = [group.create_task(reader) for reader in readers]
            trouble = group.create_task(self._make_trouble())
            await self.pause(6.0)
            trouble.cancel()
            await asyncio.wait([trouble])
            self.end_trouble()
            async with asyncio.timeout(_LONGEST_SECONDS):
                await asyncio.wait(writing)
                self._judge()
                if self._hub is None and not self.backups:
                    for gateway in self.gateways:  # of several gateways, some have not heard of the others' events
                        await gateway.crash()
                self.calm = True
                await asyncio.wait(reading)
        if self.backups:
            for session_id in self.histories:  # a flush may have come between two looks; the next reader corrects it
                await self.gateway().parts.requests.view(session_id)
        for gateway in self.gateways:
            await gateway.stop()
            await gateway.store.close()
        self._read_logs()

    def end_trouble(self) -> None:
        self.trouble = 0.0
        self.database.away = False
        if self._hub is not None:
            self._hub.calm()
        for gateway in self.gateways:
            gateway.line.trouble = 0.0

    async def _make_trouble(self) -> None:
        while True:
            await self.pause(1.5)
            kinds = ["failover", "failover", "crash", "crash", "away"]
            match self.random.choice([*kinds, "put back", "put back"] if self.backups else kinds):
                case "failover":
                    self.database.fail_over()
                case "crash":
                    await self.gateway().crash(leaving=self.random.random() < 0.5)
                case "away":
                    self.database.away = True
                    await self.pause(3.0)
                    self.database.away = False
                case "put back":
                    copy = self.database.copy()
                    await self.pause(1.5)
                    self._put_back(copy)

    def _put_back(self, copy: Copy) -> None:
        """Break the gateways' connections, which the drivers notice before they open new ones."""
        self.database.put_back(copy)
        self.put_back_at = asyncio.get_running_loop().time()
        for gateway in self.gateways:
            gateway.store._condition.troubles += 1
        self.promises.put_back()

    def _judge(self) -> None:
        events = sorted(self.database.majority["events"].values(), key=lambda event: int(event["seq"]))
        # A gateway in doubt looks again before it relies on its knowledge.
        states = [
            live.state
            for gateway in self.gateways
            for live in gateway.parts.sessions.live.values()
            if not self.backups or live.state.log.as_of == gateway.store.events.troubles
        ]
        self.promises.judge(self.database.majority["sessions"], events, states)

    def _holds(self, session_id: str, seq: int) -> bool:
        return position_key(session_id, seq) in self.database.primary["events"]

    def head(self, session_id: str) -> int:
        return sum(document["sessionId"] == session_id for document in self.database.majority["events"].values())

    def _read_logs(self) -> None:
        for session_id, history in self.histories.items():
            history.log += self.entries(session_id)

    def entries(self, session_id: str) -> list[Entry]:
        """Return the log of a session as it is on the majority."""
        found = [each for each in self.database.majority["events"].values() if each["sessionId"] == session_id]
        return [
            Entry(
                document["seq"],
                document["eventId"],
                content_of(document["type"], document["payload"]),
                document["timestamp"].isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                document.get("epoch"),
            )
            for document in sorted(found, key=lambda document: int(document["seq"]))
        ]


def run_world(play: Callable[[], Coroutine[Any, Any, World]]) -> World:
    """Play a schedule on a new loop, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(play())
