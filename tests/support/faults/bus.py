"""A bus in memory that loses, delays, duplicates and reorders its messages, and is away from time to time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from random import Random

from turnwire.gateway.peers.bus import BusAway

_LONGEST_SECONDS = 0.5
_CUT_SECONDS = 2.0


class LossyHub:
    """The hub that the gateways' lines are connected to. Its faults follow from the seed; `calm` ends them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.trouble = self.random.choice([0.0, 0.1, 0.3, 0.6])
        """The share of messages that suffer a fault."""
        self.lines: list[LossyLine] = []
        self.carried = self.lost = self.doubled = self.cuts = 0

    def line(self) -> LossyLine:
        return LossyLine(self)

    def calm(self) -> None:
        self.trouble = 0.0

    def carry(self, topic: str, data: bytes) -> None:
        for line in tuple(self.lines):
            if topic in line.topics:
                self._carry_to(line, data)

    def _carry_to(self, line: LossyLine, data: bytes) -> None:
        fault = None
        if self.random.random() < self.trouble:
            fault = self.random.choice(["lost", "late", "late", "doubled", "cut"])
        if fault == "lost":
            self.lost += 1
            return
        if fault == "cut":
            self.cuts += 1
            line.cut()
            return
        self.carried += 1
        times = 2 if fault == "doubled" else 1
        self.doubled += times - 1
        for _ in range(times):
            delay = self.random.uniform(0, _LONGEST_SECONDS if fault else 0.002)
            asyncio.get_running_loop().call_later(delay, line.arrive, data)


class LossyLine:
    """One gateway's connection."""

    def __init__(self, hub: LossyHub) -> None:
        self._hub = hub
        self.topics: frozenset[str] = frozenset()
        self._arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._cut_until = 0.0

    def cut(self) -> None:
        self._cut_until = asyncio.get_running_loop().time() + self._hub.random.uniform(0, _CUT_SECONDS)
        self._arrived.put_nowait(None)

    def arrive(self, data: bytes) -> None:
        if self.topics:
            self._arrived.put_nowait(data)

    def _check(self) -> None:
        if asyncio.get_running_loop().time() < self._cut_until:
            raise BusAway("cut off")

    async def connect(self, topics: Iterable[str]) -> None:
        await self.close()
        await asyncio.sleep(0.001)
        self._check()
        self.topics = frozenset(topics)
        self._arrived = asyncio.Queue()
        self._hub.lines.append(self)

    async def receive(self) -> bytes:
        data = await self._arrived.get()
        if data is None:
            raise BusAway("cut off")
        return data

    async def publish(self, letters: Iterable[tuple[str, bytes]]) -> None:
        self._check()
        for topic, data in letters:
            self._hub.carry(topic, data)
        await asyncio.sleep(0.001)

    async def close(self) -> None:
        self.topics = frozenset()
        if self in self._hub.lines:
            self._hub.lines.remove(self)
