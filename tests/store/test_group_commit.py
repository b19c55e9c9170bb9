"""Group commit: a write is in flight, and items that arrive meanwhile form the next one, or a second beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from turnwire.store.lanes.group_commit import GroupCommit
from turnwire.store.lanes.lines import FairLine, Line, PlainLine, Shares
from turnwire.store.lanes.pace import Pace


class Work:
    def __init__(self, name: str, weight: int = 1) -> None:
        self.name = name
        self.weight = self.cost = weight
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def take_part(self, most: int) -> None: ...


class Disk:
    """Notes the batches, and completes each when the test says so."""

    def __init__(
        self,
        max_weight: int = 10,
        overlap_weight: int | None = None,
        pace: Pace | None = None,
        line: Line[Work] | None = None,
    ) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Semaphore(0)
        self.failure: Exception | None = None
        line = PlainLine[Work](max_weight) if line is None else line
        self.lane: GroupCommit[Work] = GroupCommit(self._write, line, overlap_weight=overlap_weight, pace=pace)

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


async def settled() -> None:
    """Let the tasks of a group commit begin whatever they can begin now."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_second_write_begins_once_enough_waits_and_half_as_much_as_is_in_flight() -> None:
    disk = Disk(max_weight=100, overlap_weight=4)
    disk.submit(Work("a", 12))
    await begun(disk, 1)
    disk.submit(Work("b", 3), Work("c", 2))
    await settled()
    assert disk.batches == [["a"]]  # enough for a batch, but not half of what is in flight
    disk.submit(Work("d", 1))
    await begun(disk, 2)
    assert disk.batches == [["a"], ["b", "c", "d"]]
    await disk.lane.close()


async def test_a_tiny_item_is_written_at_once_beside_a_large_batch_while_such_ones_come() -> None:
    disk = Disk(
        line=FairLine(Shares(tiny=1, short=5, short_batch=10, long_batch=10, careful_batch=5)), overlap_weight=4
    )
    disk.submit(Work("a", 5), Work("b", 5), Work("t"))
    await begun(disk, 1)
    disk.gate.release()
    await begun(disk, 2)
    assert disk.batches == [["t"], ["a"]]
    await settled()
    assert len(disk.batches) == 2  # no second large one
    disk.submit(Work("u"))
    await begun(disk, 3)
    assert disk.batches == [["t"], ["a"], ["u"]]
    await disk.lane.close()


async def test_little_waits_however_little_is_in_flight() -> None:
    disk = Disk(max_weight=100, overlap_weight=4)
    disk.submit(Work("a", 1))
    await begun(disk, 1)
    disk.submit(Work("b", 1), Work("c", 2))
    await settled()
    assert disk.batches == [["a"]]
    disk.submit(Work("d", 1))
    await begun(disk, 2)
    assert disk.batches == [["a"], ["b", "c", "d"]]
    await disk.lane.close()


async def test_no_third_write_begins_and_what_waits_is_written_when_either_of_two_is_done() -> None:
    disk = Disk(max_weight=100, overlap_weight=1)
    works = [Work(name, 5) for name in "abcd"]
    disk.submit(works[0])
    await begun(disk, 1)
    disk.submit(works[1])
    await begun(disk, 2)
    disk.submit(works[2], works[3])
    await settled()
    assert disk.batches == [["a"], ["b"]]
    disk.gate.release()
    await begun(disk, 3)
    assert disk.batches == [["a"], ["b"], ["c", "d"]]
    for _ in range(2):
        disk.gate.release()
    await asyncio.gather(*(work.done for work in works))
    assert disk.lane.weight == 0


async def test_closing_cancels_both_writes_that_are_in_flight() -> None:
    disk = Disk(max_weight=100, overlap_weight=1)
    works = [Work(name) for name in "abc"]
    disk.submit(works[0])
    await begun(disk, 1)
    disk.submit(works[1])
    await begun(disk, 2)
    disk.submit(works[2])
    await disk.lane.close()
    assert [work.done.cancelled() for work in works] == [True, True, True]
