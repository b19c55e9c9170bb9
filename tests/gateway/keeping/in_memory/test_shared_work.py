"""Of several gateways, one works at a time, and another one continues soon after it has died."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.support.in_memory import MemoryGateway, pass_time, virtual_now
from turnwire.gateway.keeping.shared_work import LEASE_SECONDS, LOOK_SECONDS, SharedWork
from turnwire.protocol.errors import StorageUnavailable

HOUR = 3600.0
SOON = LEASE_SECONDS + 2 * LOOK_SECONDS
"""Within this time another gateway takes over."""


class Worker:
    """Attends to the work as a gateway does, and keeps when it has begun and ended."""

    def __init__(self, gateway: MemoryGateway, seconds: float, interval: float = HOUR) -> None:
        clock = asyncio.get_running_loop().time
        self._shared = SharedWork(gateway.store.leases, "test", interval, clock=clock, now=virtual_now)
        self._clock = clock
        self._seconds = seconds
        self.begun: list[float] = []
        self.ended: list[float] = []
        self.fails = False
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            try:
                pause = await self._shared.attend(self._work)
            except (StorageUnavailable, ValueError):
                pause = LOOK_SECONDS
            await asyncio.sleep(pause)

    async def _work(self) -> None:
        self.begun.append(self._clock())
        await asyncio.sleep(self._seconds)
        if self.fails:
            raise ValueError
        self.ended.append(self._clock())


@pytest.fixture
async def work(here: MemoryGateway, there: MemoryGateway) -> Callable[..., Awaitable[tuple[Worker, Worker]]]:
    """Have two gateways attend, of which the first is faster."""

    async def start(seconds: float) -> tuple[Worker, Worker]:
        first = Worker(here, seconds)
        await pass_time(1)
        return first, Worker(there, seconds)

    return start


Start = Callable[..., Awaitable[tuple[Worker, Worker]]]


async def test_one_gateway_works_as_long_as_necessary_while_the_other_one_waits(work: Start) -> None:
    first, second = await work(20 * LEASE_SECONDS)
    await pass_time(21 * LEASE_SECONDS)
    assert (len(first.ended), second.begun) == (1, [])


async def test_all_gateways_wait_for_the_interval_after_one_has_done_the_work(work: Start) -> None:
    first, second = await work(10)
    await pass_time(HOUR - 60)
    assert (len(first.begun), second.begun) == (1, [])
    await pass_time(120)
    assert len(first.begun) + len(second.begun) == 2


async def test_work_that_failed_is_not_tried_by_each_gateway_in_turn(work: Start) -> None:
    first, second = await work(10)
    first.fails = True
    await pass_time(HOUR - 60)
    assert (len(first.begun), first.ended, second.begun) == (1, [], [])


async def test_another_gateway_continues_soon_after_one_is_killed_at_work(work: Start, here: MemoryGateway) -> None:
    first, second = await work(10 * LEASE_SECONDS)
    await pass_time(5 * LEASE_SECONDS)
    killed = asyncio.get_running_loop().time()
    here.line.cut = True
    first.task.cancel()
    await pass_time(SOON)
    (begun,) = second.begun
    assert killed + LEASE_SECONDS / 2 < begun < killed + SOON
    await pass_time(11 * LEASE_SECONDS)
    assert len(second.ended) == 1


async def test_a_gateway_that_loses_the_database_stops_its_work_before_long(work: Start, here: MemoryGateway) -> None:
    first, second = await work(10 * LEASE_SECONDS)
    await pass_time(LEASE_SECONDS)
    here.line.cut = True
    await pass_time(SOON + 10 * LEASE_SECONDS)
    assert (len(first.begun), first.ended) == (1, [])
    assert len(second.ended) == 1


async def test_an_answer_that_is_lost_does_not_cost_the_lease(work: Start, here: MemoryGateway) -> None:
    here.line.trouble = 0.3
    first, second = await work(10 * LEASE_SECONDS)
    await pass_time(12 * LEASE_SECONDS)
    assert (len(first.ended), second.begun) == (1, [])


async def test_a_gateway_that_starts_works_at_once_unless_another_one_does(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    first = Worker(here, 10)
    await pass_time(60)
    assert len(first.ended) == 1
    second = Worker(there, 10)
    await pass_time(5)
    assert len(second.begun) == 1
