"""Group commit: one write is in flight, and items that arrive meanwhile form the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from turnwire.store.lanes.group_commit import GroupCommit


class Work:
    def __init__(self, name: str, weight: int = 1) -> None:
        self.name = name
        self.weight = weight
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()


class Disk:
    """Notes the batches, and completes each when the test says so."""

    def __init__(self, max_weight: int = 10) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Semaphore(0)
        self.failure: Exception | None = None
        self.lane: GroupCommit[Work] = GroupCommit(self._write, max_weight=max_weight)

    async def _write(self, batch: Sequence[Work]) -> None:
        self.batches.append([work.name for work in batch])
        await self.gate.acquire()
        if self.failure is not None:
            raise self.failure
        for number, work in enumerate(batch):
            work.done.set_result(number)

    def submit(self, *works: Work) -> None:
        for work in works:
            self.lane.submit(work)


async def begun(disk: Disk, batches: int) -> None:
    async with asyncio.timeout(5):
        while len(disk.batches) < batches:
            await asyncio.sleep(0)


async def test_waiting_items_are_written_together_in_order() -> None:
    disk = Disk()
    works = [Work(str(n)) for n in range(6)]
    disk.submit(works[0])
    await begun(disk, 1)
    disk.submit(*works[1:])
    disk.gate.release()
    await begun(disk, 2)
    disk.gate.release()
    await asyncio.gather(*(work.done for work in works))
    assert disk.batches == [["0"], ["1", "2", "3", "4", "5"]]


async def test_a_batch_keeps_within_its_weight_or_has_one_item() -> None:
    disk = Disk(max_weight=10)
    disk.submit(Work("a", 4), Work("b", 6), Work("c", 1), Work("d", 50), Work("e", 9), Work("f", 2))
    for _ in range(4):
        disk.gate.release()
    await begun(disk, 4)
    assert disk.batches == [["a", "b"], ["c"], ["d"], ["e"]] or disk.batches[:3] == [["a", "b"], ["c"], ["d"]]
    disk.gate.release()
    await begun(disk, 5)
    assert [name for batch in disk.batches for name in batch] == list("abcdef")


async def test_an_item_submitted_on_an_answer_joins_the_next_batch() -> None:
    disk = Disk()
    first, second = Work("first"), Work("second")
    disk.submit(first)
    await begun(disk, 1)
    disk.submit(second)

    async def again() -> Work:
        await first.done
        work = Work("again")
        disk.submit(work)
        return work

    task = asyncio.create_task(again())
    await asyncio.sleep(0)
    disk.gate.release()
    await begun(disk, 2)
    assert disk.batches[1] == ["second", "again"]
    disk.gate.release()
    await (await task).done


async def test_a_failed_write_fails_only_its_batch() -> None:
    disk = Disk()
    first = Work("first")
    disk.failure = OSError("broken")
    disk.submit(first)
    disk.gate.release()
    with pytest.raises(OSError, match="broken"):
        await first.done
    disk.failure = None
    second = Work("second")
    disk.submit(second)
    disk.gate.release()
    assert await second.done == 0


async def test_closing_a_group_commit_cancels_running_waiting_and_later_items() -> None:
    disk = Disk()
    first, second, third = Work("first"), Work("second"), Work("third")
    disk.submit(first)
    await begun(disk, 1)
    disk.submit(second)
    await disk.lane.close()
    disk.submit(third)
    assert [work.done.cancelled() for work in (first, second, third)] == [True, True, True]
    assert disk.batches == [["first"]]
