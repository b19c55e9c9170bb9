"""The measures: each runs loads against a fresh gateway or a floor, and returns the figures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from uuid import uuid4

from msgspec import structs

from bench.loads.bot import Bot
from bench.loads.calls import Calls
from bench.loads.fanout import Fanout
from bench.loads.idle import Idle
from bench.loads.ingest import Ingest
from bench.loads.insert import Insert
from bench.loads.paced import Paced
from bench.loads.requests import History, Posts
from bench.loads.stall import Stall
from bench.loads.storm import Storm
from bench.meter import Figures, Target
from bench.processes import Processes
from bench.scale import Scale

_NONE = Target("", 0)
_STREAMED = 4
"""Events in flight from a publisher that does not wait until all subscribers have the event before."""
_FANOUT_RATE = 50.0
"""Events per second of a fan-out below its full speed."""
_MEET_SECONDS = 2.0
"""Seconds for gateways to hear of each other."""
_EVENT_EVERY = 4.0
"""Seconds between two events of a live call."""
_SETTLE_SECONDS = 0.5
"""Seconds that a started gateway gets to complete its start before it is measured."""


class Measures:
    """All measures, one method for each, floors included. Figures are named `group.figure`."""

    def __init__(self, processes: Processes, scale: Scale, replay: Path | None) -> None:
        self._processes = processes
        self._scale = scale
        self._replay = replay

    def named(self) -> dict[str, Callable[[], Awaitable[Figures]]]:
        return {
            "insert": self.insert,
            "ingest": self.ingest,
            "paced": self.paced,
            "live": self.live,
            "fanout": self.fanout,
            "idle": self.idle,
            "history": self.history,
            "rest": self.rest,
            "lifecycle": self.lifecycle,
            "replay": self.replay,
            "across": self.across,
            "workers": self.workers,
            "bot": self.bot,
            "stall": self.stall,
            "storm": self.storm,
            "access": self.access,
        }

    async def close(self) -> None:
        await self._processes.close()

    async def insert(self) -> Figures:
        async with self._processes.database() as (target, name):
            load = Insert(target=target, database=name, prefix=_prefix(), batches=self._scale.inserts)
            return _grouped("insert", await self._processes.load(load))

    async def ingest(self) -> Figures:
        figures: Figures = {}
        for per_frame, events in self._scale.ingest_events.items():
            async with self._processes.floor("sink") as target:
                sunk = events * self._scale.sink_factor
                load = Ingest(target=target, prefix=_prefix(), events=sunk, per_frame=per_frame)
                figures |= _grouped(f"sink_{per_frame}", await self._processes.load(load))
            async with self._processes.gateway() as (target, data_dir):
                await asyncio.sleep(_SETTLE_SECONDS)
                before = _size(data_dir)
                load = Ingest(target=target, prefix=_prefix(), events=events, per_frame=per_frame)
                found = await self._processes.load(load)
                if before:
                    found["disk_bytes"] = (_size(data_dir) - before) / (events * load.sessions)
                figures |= _grouped(f"ingest_{per_frame}", found)
        return figures

    async def paced(self) -> Figures:
        figures: Figures = {}
        async with self._processes.gateway() as (target, _):
            await asyncio.sleep(_SETTLE_SECONDS)
            for rate in self._scale.paced_rates:
                load = Paced(target=target, prefix=_prefix(), rate=rate, seconds=self._scale.paced_seconds)
                figures |= _grouped(f"paced_{rate}", await self._processes.load(load))
        return figures

    async def live(self) -> Figures:
        """Measure many concurrent calls with an event every four seconds. Their sessions are active already."""
        async with self._processes.gateway() as (target, _):
            await asyncio.sleep(_SETTLE_SECONDS)
            load = Paced(
                target=target,
                prefix=_prefix(),
                rate=self._scale.live_calls / _EVENT_EVERY,
                seconds=self._scale.live_seconds,
                sessions=self._scale.live_calls,
                watched=False,
                warm_up=self._scale.live_warm_up,
            )
            found = await self._processes.load(load)
            if "database_us" in found:
                found["database_cores"] = found["database_us"] * found["events_per_s"] / 1e6
            return _grouped("live", found)

    async def fanout(self) -> Figures:
        figures: Figures = {}
        for subscribers, events in self._scale.fanout.items():
            alone = Fanout(target=_NONE, prefix=_prefix(), subscribers=subscribers, events=events)
            streamed = structs.replace(alone, in_flight=_STREAMED)
            async with self._processes.floor("fanout") as target:
                figures |= await self._fan_out(f"fanout_floor_{subscribers}", alone, target)
                figures |= await self._fan_out(f"fanout_floor_{subscribers}_streamed", streamed, target)
            async with self._processes.storing_floor("fanout-stored") as target:
                figures |= await self._fan_out(f"fanout_storing_floor_{subscribers}", alone, target)
            async with self._processes.gateway() as (target, _):
                await asyncio.sleep(_SETTLE_SECONDS)
                figures |= await self._fan_out(f"fanout_{subscribers}", alone, target)
                figures |= await self._fan_out(f"fanout_{subscribers}_streamed", streamed, target)
                paced = structs.replace(streamed, rate=_FANOUT_RATE, events=self._scale.fanout_paced)
                figures |= await self._fan_out(f"fanout_{subscribers}_paced", paced, target)
                if subscribers == max(self._scale.fanout):
                    figures |= await self._beside(f"beside_{subscribers}", streamed, target)
        return figures

    async def _beside(self, group: str, fanout: Fanout, target: Target) -> Figures:
        """Measure the acks of other publishers while subscribers are served as fast as they can read."""
        seconds = self._scale.beside_seconds
        others = Paced(target=target, prefix=_prefix(), rate=_FANOUT_RATE, seconds=seconds, sessions=10, watched=False)
        longer = structs.replace(fanout, events=fanout.events * 2)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._fan_out(group, longer, target))
            await asyncio.sleep(seconds)  # long enough for all to have subscribed
            found = await self._processes.load(others)
        return _grouped(group, {name: value for name, value in found.items() if name.startswith("ack_")})

    async def _fan_out(self, group: str, load: Fanout, target: Target) -> Figures:
        return _grouped(group, await self._processes.load(structs.replace(load, target=target, prefix=_prefix())))

    async def idle(self) -> Figures:
        async with self._processes.floor("idle") as target:
            load = Idle(target=target, prefix=_prefix(), steps=self._scale.idle, seconds=self._scale.idle_seconds)
            figures = _grouped("idle_floor", await self._processes.load(load))
        async with self._processes.gateway() as (target, _):
            await asyncio.sleep(_SETTLE_SECONDS)
            load = Idle(target=target, prefix=_prefix(), steps=self._scale.idle, seconds=self._scale.idle_seconds)
            figures |= _grouped("idle", await self._processes.load(load))
        async with self._processes.gateway() as (target, _):
            await asyncio.sleep(_SETTLE_SECONDS)
            load = Idle(
                target=target,
                prefix=_prefix(),
                steps=[self._scale.idle_publishers],
                seconds=self._scale.idle_seconds,
                publish=True,
            )
            figures |= _grouped("idle_publishers", await self._processes.load(load))
        return figures

    async def history(self) -> Figures:
        async with self._processes.gateway() as (target, _):
            lengths, repeats = self._scale.history, self._scale.history_repeats
            load = History(target=target, prefix=_prefix(), lengths=lengths, repeats=repeats)
            return _grouped("history", await self._processes.load(load))

    async def rest(self) -> Figures:
        async with self._processes.floor("rest") as target:
            load = Posts(target=target, prefix=_prefix(), requests=self._scale.posts)
            figures = _grouped("rest_floor", await self._processes.load(load))
        async with self._processes.storing_floor("rest-stored") as target:
            load = Posts(target=target, prefix=_prefix(), requests=self._scale.posts)
            figures |= _grouped("rest_storing_floor", await self._processes.load(load))
        async with self._processes.gateway() as (target, _):
            await asyncio.sleep(_SETTLE_SECONDS)
            load = Posts(target=target, prefix=_prefix(), requests=self._scale.posts)
            return figures | _grouped("rest", await self._processes.load(load))

    async def across(self) -> Figures:
        """Measure publishers at one of three gateways and subscribers at the others; also unwatched events."""
        figures: Figures = {}
        for how in self._scale.across:
            async with self._processes.cluster(3, redis=how == "redis") as (here, *there):
                await asyncio.sleep(_MEET_SECONDS)
                for rate in self._scale.paced_rates:
                    seconds = self._scale.paced_seconds
                    load = Paced(target=here, watched_at=there, prefix=_prefix(), rate=rate, seconds=seconds)
                    figures |= _grouped(f"across_{how}_{rate}", await self._processes.load(load))
                unwatched = Ingest(target=here, prefix=_prefix(), events=self._scale.ingest_events[1], per_frame=1)
                figures |= _grouped(f"unwatched_{how}", await self._processes.load(unwatched))
        return figures

    async def workers(self) -> Figures:
        figures: Figures = {}
        for count in self._scale.workers:
            async with self._processes.workers(count) as target:
                await asyncio.sleep(_SETTLE_SECONDS)
                for per_frame, events in self._scale.ingest_events.items():
                    load = Ingest(target=target, prefix=_prefix(), events=events, per_frame=per_frame)
                    figures |= _grouped(f"workers_{count}_{per_frame}", await self._processes.load(load))
        return figures

    async def lifecycle(self) -> Figures:
        return await self._calls({"calls": 64, "calls_in_turns": 1}, self._scale.calls, None)

    async def replay(self) -> Figures:
        return await self._calls({"replay": 64}, self._scale.replayed, self._replay)

    async def bot(self) -> Figures:
        async with self._processes.gateway() as (target, _):
            await asyncio.sleep(_SETTLE_SECONDS)
            scale = self._scale
            load = Bot(
                target=target,
                prefix=_prefix(),
                events=scale.bot_events,
                publishers=scale.bot_publishers,
                imports=scale.bot_imports,
            )
            return _grouped("bot", await self._processes.load(load))

    async def stall(self) -> Figures:
        """Measure for how long the gateway answers nobody during slow work. Unused sessions leave its memory soon."""
        async with self._processes.gateway(TURNWIRE_IDLE_EVICT="2") as (target, _):
            await asyncio.sleep(_SETTLE_SECONDS)
            scale = self._scale
            load = Stall(
                target=target,
                prefix=_prefix(),
                events=scale.stall_events,
                utterances=scale.stall_utterances,
                changing=scale.stall_changing,
                dashboards=scale.stall_dashboards,
                large=scale.stall_large,
                settle=scale.stall_settle,
            )
            return _grouped("stall", await self._processes.load(load))

    async def storm(self) -> Figures:
        """Measure how long all clients are away after kill -9."""
        async with self._processes.mortal_gateway() as (target, again):
            await asyncio.sleep(_SETTLE_SECONDS)
            load = Storm(
                target=target,
                prefix=_prefix(),
                command=again.command,
                directory=again.directory,
                environment=again.environment,
                subscribers=self._scale.storm_subscribers,
                sessions=self._scale.storm_sessions,
            )
            return _grouped("storm", await self._processes.load(load))

    async def access(self) -> Figures:
        """Measure the same events with and without an API key, alternately, because the two costs are close."""
        loads = {"access_open": self._ingest_open, "access_key": self._ingest_with_key}
        found: dict[str, list[Figures]] = {group: [] for group in loads}
        for _ in range(self._scale.access_turns):
            for group, load in loads.items():
                found[group].append(await load())
        figures: Figures = {}
        for group, turns in found.items():
            figures |= _grouped(group, {name: median(turn[name] for turn in turns) for name in turns[0]})
        return figures

    async def _ingest_open(self) -> Figures:
        async with self._processes.gateway() as (target, _):
            return await self._ingest_into(target)

    async def _ingest_with_key(self) -> Figures:
        async with self._processes.guarded_gateway() as target:
            return await self._ingest_into(target)

    async def _ingest_into(self, target: Target) -> Figures:
        await asyncio.sleep(_SETTLE_SECONDS)
        events = self._scale.ingest_events[1]
        return await self._processes.load(Ingest(target=target, prefix=_prefix(), events=events, per_frame=1))

    async def _calls(self, groups: dict[str, int], calls: int, file: Path | None) -> Figures:
        """Measure whole calls. `groups` maps the name of a group to the events in flight of a call."""
        figures: Figures = {}
        for group, in_flight in groups.items():
            async with self._processes.gateway() as (target, _):
                await asyncio.sleep(_SETTLE_SECONDS)
                load = Calls(
                    target=target,
                    prefix=_prefix(),
                    calls=calls,
                    concurrency=self._scale.call_concurrency,
                    in_flight=in_flight,
                    file=None if file is None else str(file),
                )
                figures |= _grouped(group, await self._processes.load(load))
        return figures


def _prefix() -> str:
    return f"bench-{uuid4().hex[:8]}"


def _grouped(group: str, figures: Figures) -> Figures:
    return {f"{group}.{name}": value for name, value in figures.items()}


def _size(directory: Path) -> int:
    """Return the bytes of the embedded database's files; 0 for another database."""
    database = directory / "db"
    return sum(path.stat().st_size for path in database.rglob("*") if path.is_file())
