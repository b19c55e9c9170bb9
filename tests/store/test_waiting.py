"""Waiting for the storage: many deadlines with one timer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from tests.support.faults.clock import VirtualTimeLoop
from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.waiting import Deadlines


def play(story: Callable[[Deadlines], Awaitable[None]]) -> None:
    """Run it in virtual time."""

    async def main() -> None:
        await story(Deadlines(asyncio.get_running_loop()))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


async def failed_at(deadlines: Deadlines, end: float) -> float:
    loop = asyncio.get_running_loop()
    with pytest.raises(StorageUnavailable):
        await deadlines.result(loop.create_future(), end)
    return round(loop.time(), 2)


def test_each_wait_ends_at_its_own_deadline_in_whichever_order_they_begin() -> None:
    async def story(deadlines: Deadlines) -> None:
        ends = [5.0, 2.0, 8.0, 2.0, 7.0]
        assert await asyncio.gather(*(failed_at(deadlines, end) for end in ends)) == ends
        assert await failed_at(deadlines, 9.0) == 9.0

    play(story)


def test_a_wait_that_ends_early_keeps_no_other_from_its_deadline() -> None:
    async def story(deadlines: Deadlines) -> None:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[str] = loop.create_future()
        loop.call_at(0.5, answered.set_result, "stored")
        gone = asyncio.create_task(failed_at(deadlines, 1.0))
        late = asyncio.create_task(failed_at(deadlines, 3.0))
        assert await deadlines.result(answered, 1.0) == "stored"
        gone.cancel()
        assert await late == 3.0

    play(story)


def test_the_timer_looks_at_no_future_that_is_not_due_and_keeps_none_that_is_done() -> None:
    looks = Counter[float]()

    class Counted(asyncio.Future[str]):
        end = 0.0

        def done(self) -> bool:
            looks[self.end] += 1
            return super().done()

    async def wait(deadlines: Deadlines, end: float) -> None:
        future = Counted()
        future.end = end
        with pytest.raises(StorageUnavailable):
            await deadlines.result(future, end)

    async def story(deadlines: Deadlines) -> None:
        waiting = [asyncio.create_task(wait(deadlines, 1.0 + number / 10)) for number in range(50)]
        await asyncio.sleep(2.05)
        assert sorted(looks) == [1.0 + number / 10 for number in range(11)]
        await asyncio.gather(*waiting)
        assert set(looks.values()) == {1}
        assert deadlines._due == {}

    play(story)
