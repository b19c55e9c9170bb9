"""The pace of small commits: which of them wait for company, and for how long. Played with made-up moments."""

from __future__ import annotations

import asyncio

from tests.store.test_group_commit import Disk, Work, begun
from turnwire.store.lanes.pace import ENOUGH, ENOUGH_SECONDS, INTERVAL, LAST, PATIENCE, REST, Pace


def paced(appends: int, commits: int = LAST) -> tuple[Pace, float]:
    """Return a pace after so many commits of this size, each of which has waited to the end, and the time."""
    pace, now = Pace(), 100.0
    pace.begin(now, appends)
    for _ in range(commits):
        now += pace.wait(now)
        pace.begin(now, appends)
    return pace, now


def test_a_commit_waits_for_the_rest_of_the_interval_and_one_after_a_rest_not_at_all() -> None:
    pace = Pace()
    assert pace.wait(100.0) == 0
    pace.begin(100.0, 1)
    assert abs(pace.wait(100.0 + INTERVAL / 3) - INTERVAL * 2 / 3) < 1e-9
    assert pace.wait(100.0 + INTERVAL * 2) == 0


def test_a_commit_waits_a_moment_after_one_that_took_long() -> None:
    pace = Pace()
    pace.begin(100.0, 1)
    pace.end(100.0 + INTERVAL * 5)
    assert abs(pace.wait(100.0 + INTERVAL * 5) - REST) < 1e-9


def test_after_commits_that_have_waited_in_vain_others_do_not_wait_and_then_one_tries_again() -> None:
    pace, now = paced(2, commits=1)
    for _ in range(PATIENCE):
        assert pace.wait(now) == 0
        pace.begin(now, 1)
    assert pace.wait(now) > 0


def test_commits_that_find_company_continue_waiting() -> None:
    pace, now = paced(3, commits=PATIENCE)
    assert pace.wait(now) > 0


def test_a_single_small_commit_among_larger_ones_changes_nothing() -> None:
    pace, now = paced(4)
    now += pace.wait(now)
    pace.begin(now, 1)
    assert pace.wait(now) > 0


def test_a_wait_ends_with_as_many_appends_as_the_last_commits_had() -> None:
    pace, now = paced(5)
    pace.wait(now)
    assert not pace.is_enough(4)
    assert pace.is_enough(5)


def test_one_wait_in_some_goes_to_the_end_so_that_commits_can_grow() -> None:
    pace, now = paced(5)
    enough = []
    for _ in range(LAST):
        now += pace.wait(now)
        enough.append(pace.is_enough(5))
        pace.begin(now, 5)
    assert sorted(enough) == [False] + [True] * (LAST - 1)


def answered(appends: int, seconds: float, apart: float = INTERVAL) -> Pace:
    """Return a pace after commits of this size, which began so far `apart` and took so many `seconds`, one of which
    was large. The next one waits."""
    pace, now = Pace(), 100.0
    for size in (50, *[appends] * LAST):
        pace.wait(now)
        pace.begin(now, size)
        pace.end(now + seconds)
        now += apart
    pace.wait(now - apart + seconds)
    return pace


def test_while_the_database_answers_fast_a_few_appends_are_enough() -> None:
    pace = answered(ENOUGH, INTERVAL / 3)
    assert not pace.is_enough(ENOUGH - 1)
    assert pace.is_enough(ENOUGH)


def test_while_many_appends_come_a_commit_waits_for_more_of_them() -> None:
    pace = answered(12, INTERVAL / 3)
    often = round(12 * ENOUGH_SECONDS / INTERVAL)
    assert not pace.is_enough(often - 1)
    assert pace.is_enough(often)


def test_beside_a_slow_database_a_commit_waits_for_all_who_wait_for_acks() -> None:
    pace = answered(6, INTERVAL * 2, apart=INTERVAL * 3)
    assert not pace.is_enough(ENOUGH)


class Patient(Pace):
    """A pace at which every commit but the first waits for an hour, or until it has enough."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self._enough = enough
        self._begun = 0

    def wait(self, now: float) -> float:
        return 3600.0 if self._begun else 0.0

    def is_enough(self, appends: int) -> bool:
        return appends >= self._enough

    def begin(self, now: float, appends: int) -> None:
        self._begun += 1


async def test_items_that_come_one_by_one_after_a_commit_are_written_together() -> None:
    disk = Disk(pace=Patient(enough=3))
    first, *rest = [Work(name) for name in "abcd"]
    for _ in range(2):
        disk.gate.release()
    disk.submit(first)
    await first.done
    for work in rest:
        disk.submit(work)
        await asyncio.sleep(0)
    await asyncio.gather(*(work.done for work in rest))
    assert disk.batches == [["a"], ["b", "c", "d"]]


async def test_a_commit_stops_waiting_once_it_holds_much() -> None:
    disk = Disk(overlap_weight=10, pace=Patient(enough=100))
    for _ in range(2):
        disk.gate.release()
    disk.submit(Work("a"))
    await begun(disk, 1)
    disk.submit(Work("b"))
    await asyncio.sleep(0)
    disk.submit(Work("c", 9))
    await begun(disk, 2)
    assert disk.batches == [["a"], ["b", "c"]]


async def test_closing_a_lane_cancels_a_commit_that_waits_for_company() -> None:
    disk = Disk(pace=Patient(enough=100))
    disk.gate.release()
    first, second = Work("a"), Work("b")
    disk.submit(first)
    await first.done
    disk.submit(second)
    await asyncio.sleep(0)
    await disk.lane.close()
    assert second.done.cancelled()
