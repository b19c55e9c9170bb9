"""Two gateways on a database that fails: one erases a session again and again while both append to it and read it."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import MemoryGateway, Seat, event, pass_time, send
from tests.support.memory_fixtures import StartMemory
from turnwire.protocol.errors import NoSuchSession, TurnwireError

ROUNDS = 4
LATE = 121.0


class Race:
    """What has been done to the session, and what may be read of it."""

    def __init__(self, gateways: list[MemoryGateway], random: Random) -> None:
        self.gateways = gateways
        self.random = random
        self.round = 0
        """How often the session was erased, for certain."""
        self.stored: list[str] = []
        """Events that were acked while nobody was erasing the session."""
        self.under_way: set[str] = set()
        self.either: set[str] = set()
        """Events that were under way while it was erased: they are of the old session or of the new one."""
        self.erasing = False
        self.wrong: list[str] = []

    def gateway(self) -> MemoryGateway:
        return self.random.choice(self.gateways)

    async def create(self) -> None:
        while True:
            try:
                await self.gateway().requests.create(session_id="s", language="en", metadata={}, status="initiated")
                return
            except TurnwireError:
                await asyncio.sleep(0.1)

    async def append(self, name: str) -> None:
        """By REST, until it is known what became of it."""
        for number in range(1000):
            event_id = f"{name}-{number}"
            self.under_way.add(event_id)
            if self.erasing:
                self.either.add(event_id)
            try:
                await self.gateway().requests.append("s", [event(event_id)], 100)
                if event_id not in self.either:
                    self.stored.append(event_id)
            except TurnwireError:
                self.either.add(event_id)  # it may come yet
            self.under_way.discard(event_id)
            await asyncio.sleep(self.random.uniform(0, 0.3))

    async def publish(self) -> None:
        """One publisher after the other, each of which means the session that it has claimed."""
        for number in range(1000):
            seat, gateway, round_ = Seat(), self.gateway(), self.round
            try:
                live = await gateway.open()
                await asyncio.wait_for(gateway.claim(live, seat), 3)
            except (TurnwireError, TimeoutError):
                await asyncio.sleep(0.1)
                continue
            if round_ == self.round and not self.erasing:
                for step in range(5):
                    send(live, seat, event(f"published-{round_}-{number}-{step}"))
                    await asyncio.sleep(self.random.uniform(0, 0.4))
            live.release(seat)

    async def read(self) -> list[str] | None:
        """What any gateway shows; None when it cannot be read now."""
        gateway = self.gateway()
        try:
            view = await gateway.requests.view("s")
            last = view.session.last_seq
            events = await gateway.store.events.read("s", 1, last, view.life) if last else []
        except TurnwireError:
            return None
        return [each.event_id for each in events]

    def judge(self, shown: list[str], round_: int) -> None:
        """`shown` was asked for after the session had been erased for so many times."""
        for event_id in shown:
            if event_id.startswith("published-") and int(event_id.split("-")[1]) < round_:
                self.wrong.append(f"{event_id} is shown after {round_} erasures")
        if len(set(shown)) != len(shown):
            self.wrong.append(f"doubled: {shown}")

    async def watch(self) -> None:
        while True:
            round_ = self.round
            shown = await self.read()
            if shown is not None:
                self.judge(shown, round_)
            await asyncio.sleep(self.random.uniform(0, 0.2))

    async def erase(self) -> None:
        known = set(self.stored)
        shown = await self.read()
        if shown is not None and not known <= set(shown):
            self.wrong.append(f"lost: {sorted(known - set(shown))}")
        self.erasing = True
        self.either |= self.under_way
        erased, self.stored = list(self.stored), []
        while True:
            try:
                await self.gateway().parts.erasing.erase("s", force=True)
                break
            except NoSuchSession:
                break
            except TurnwireError:
                await asyncio.sleep(0.1)
        self.round += 1
        await self.create()
        self.erasing = False
        shown = await self.read() or []
        if kept := set(erased) & set(shown):
            self.wrong.append(f"still shown: {sorted(kept)}")


@pytest.mark.parametrize("seed", range(8))
async def test_no_event_of_an_erased_session_is_shown_and_none_of_the_new_one_is_lost(
    join: StartMemory, database: MemoryDatabase, seed: int
) -> None:
    database.random.seed(seed)
    random = Random(seed)
    settings = {"rest_timeout": 3.0, "end_grace": 2.0, "storage_timeout": 5.0, "flush_interval": 0.5}
    gateways = [join(**settings), join(**settings)]
    race = Race(gateways, random)
    for gateway in gateways:
        gateway.start()
    await race.create()
    trouble = random.choice([0.0, 0.05, 0.2])
    for gateway in gateways:
        gateway.line.trouble = trouble
    tasks = [asyncio.create_task(work) for work in (race.append("a"), race.append("b"), race.publish(), race.watch())]
    for _ in range(ROUNDS):
        await pass_time(random.uniform(0.5, 4.0))
        await race.erase()
    await pass_time(2.0)
    for gateway in gateways:
        gateway.line.trouble = 0.0
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await pass_time(LATE)
    await gateways[0].parts.erasing.tend()
    assert race.wrong == []
    shown = await race.read()
    assert shown is not None
    assert set(race.stored) <= set(shown)
    assert sorted(database.primary["events"]) == [f"s/{seq:010d}" for seq in range(1, len(shown) + 1)]
    assert not database.primary["erasures"]
