"""Group commit without tasks: what goes well needs none, and everything else is seen to by one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import pytest

from tests.store.test_group_commit import Disk, Work, begun, settled
from turnwire.store.lanes.group_commit import GroupCommit
from turnwire.store.lanes.lines import PlainLine


class QuickDisk(Disk):
    """Writes without a task, unless it is told not to. The test says when a write has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.is_able = True
        self.refusal: Exception | None = None
        """What it raises instead of beginning."""
        self.rest = False
        """Whether a write leaves something for a task."""
        self.end: Callable[[], None] = lambda: None
        self.lane = GroupCommit(self._write, PlainLine[Work](10), quick=self)

    def begin(self, batch: Sequence[Work], ended: Callable[[], None]) -> bool:
        if self.refusal is not None:
            raise self.refusal
        if self.is_able:
            self.batches.append([work.name for work in batch])
            self.end = ended
        return self.is_able

    def finish(self, batch: Sequence[Work]) -> Callable[[], Awaitable[None]] | None:
        if self.failure is not None:
            raise self.failure
        if self.rest:
            return partial(self._write, batch)
        for work in batch:
            work.done.set_result(-1)
        return None


async def test_a_batch_needs_no_task_and_the_next_one_begins_after_its_answers() -> None:
    disk = QuickDisk()
    first, second, third = Work("first"), Work("second"), Work("third")
    disk.submit(first, second)
    await begun(disk, 1)
    disk.submit(third)
    await settled()
    assert disk.batches == [["first", "second"]]
    disk.end()
    assert (await first.done, await second.done) == (-1, -1)
    await begun(disk, 2)
    disk.end()
    assert await third.done == -1
    assert disk.lane.weight == 0


async def test_a_batch_that_takes_a_task_gets_one_and_the_next_one_needs_none_again() -> None:
    disk = QuickDisk()
    disk.is_able = False
    first, second = Work("first"), Work("second")
    disk.submit(first)
    await begun(disk, 1)
    disk.submit(second)
    disk.is_able = True
    disk.gate.release()
    await begun(disk, 2)
    disk.end()
    assert (await first.done, await second.done) == (0, -1)


async def test_what_a_batch_leaves_over_is_done_before_the_next_batch() -> None:
    disk = QuickDisk()
    first, second = Work("first"), Work("second")
    disk.submit(first)
    await begun(disk, 1)
    disk.submit(second)
    disk.rest = True
    disk.end()
    await begun(disk, 2)
    disk.rest = False
    await settled()
    assert disk.batches == [["first"], ["first"]]
    disk.gate.release()
    await begun(disk, 3)
    disk.end()
    assert (await first.done, await second.done) == (0, -1)
    assert disk.lane.weight == 0


async def test_a_fault_in_the_answers_fails_the_batch_and_the_next_one_is_written() -> None:
    disk = QuickDisk()
    first, second = Work("first"), Work("second")
    disk.submit(first)
    await begun(disk, 1)
    disk.failure = OSError("broken")
    disk.end()
    with pytest.raises(OSError, match="broken"):
        await first.done
    disk.failure = None
    disk.submit(second)
    await begun(disk, 2)
    disk.end()
    assert await second.done == -1


async def test_a_fault_before_a_batch_is_written_fails_it_and_the_next_one_is_written() -> None:
    disk = QuickDisk()
    first, second = Work("first"), Work("second")
    disk.refusal = MemoryError("too deep")
    disk.submit(first)
    with pytest.raises(MemoryError, match="too deep"):
        await first.done
    disk.refusal = None
    disk.submit(second)
    await begun(disk, 1)
    disk.end()
    assert await second.done == -1
    assert disk.lane.weight == 0


async def test_a_batch_that_is_no_longer_under_way_is_not_answered_again() -> None:
    disk = QuickDisk()
    first, second = Work("first"), Work("second")
    disk.submit(first)
    await begun(disk, 1)
    end_first = disk.end
    end_first()
    end_first()
    disk.submit(second)
    await begun(disk, 2)
    end_first()
    await settled()
    assert not second.done.done()
    disk.end()
    assert await second.done == -1
    assert disk.lane.weight == 0


@pytest.mark.parametrize("quick", [True, False])
async def test_what_is_in_flight_weighs_nothing_afterwards_even_if_less_is_left_of_it(*, quick: bool) -> None:
    disk = QuickDisk()
    disk.is_able = quick
    work = Work("large", 8)
    disk.submit(work)
    await begun(disk, 1)
    work.weight = 3  # a part is written, and the rest is submitted again
    disk.submit(work)
    assert disk.lane.weight == 11
    disk.end()
    disk.gate.release()
    await work.done
    await settled()
    assert disk.lane.weight == 0


@pytest.mark.parametrize("stage", ["waiting", "under way", "seen to by a task"])
async def test_closing_cancels_a_batch_that_needs_no_task(stage: str) -> None:
    disk = QuickDisk()
    first, second = Work("first"), Work("second")
    disk.submit(first)
    if stage != "waiting":
        await begun(disk, 1)
    disk.submit(second)
    if stage == "seen to by a task":
        disk.rest = True
        disk.end()
    await disk.lane.close()
    if stage == "under way":
        disk.end()  # the answer may still come
    await settled()
    assert [work.done.cancelled() for work in (first, second)] == [True, True]
