"""What waits for a group commit: which of it forms the next batch."""

from __future__ import annotations

import asyncio

import pytest

from turnwire.store.event_documents import Document
from turnwire.store.lanes.appends import PendingAppend
from turnwire.store.lanes.lines import FairLine, Line


class Work:
    def __init__(self, name: str, cost: int) -> None:
        self.name = name
        self.weight = self.cost = cost
        self.part = 0
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def take_part(self, most: int) -> None:
        self.part = most


def names(batch: list[Work]) -> str:
    return "".join(each.name for each in batch)


def fair(most: int, *works: Work) -> FairLine[Work]:
    line = FairLine[Work](most)
    for work in works:
        line.put(work)
    return line


async def test_a_plain_line_keeps_its_order_and_cuts_batches_of_a_weight_or_one_submission() -> None:
    line = Line[Work](10)
    for name, weight in zip("abcdef", (4, 6, 1, 50, 9, 2), strict=True):
        line.put(Work(name, weight))
    assert [names(line.cut()) for _ in range(5)] == ["ab", "c", "d", "e", "f"]
    assert (line.cut(), line.weight) == ([], 0)


async def test_what_fits_into_one_batch_is_one_in_the_order_of_its_arrival() -> None:
    line = fair(10, Work("a", 6), Work("b", 1), Work("c", 3))
    assert not line.is_long
    assert names(line.cut()) == "abc"
    assert (len(line), line.weight) == (0, 0)


async def test_the_shortest_and_the_oldest_come_by_turns() -> None:
    line = fair(10, *(Work(name, 5) for name in "ABCDE"), Work("a", 1), Work("b", 1), Work("c", 2))
    assert line.is_long
    assert [names(line.cut()) for _ in range(4)] == ["abcA", "BC", "DE", ""]


async def test_a_short_one_waits_for_two_batches_at_most_however_many_long_ones_there_are() -> None:
    line = fair(10, *(Work("L", 8) for _ in range(100)))
    for _ in range(20):
        line.cut()
        line.put(Work("s", 1))
        assert "s" in names(line.cut()) + names(line.cut())


async def test_the_oldest_get_their_turn_however_many_short_ones_come() -> None:
    line = fair(10, *(Work(name, 9) for name in "ABC"))
    taken = ""
    for _ in range(6):
        for _ in range(20):
            line.put(Work("s", 1))
        taken += names(line.cut())
    assert taken.replace("s", "") == "ABC"


async def test_what_costs_more_than_a_batch_comes_in_parts_and_its_rest_comes_first() -> None:
    line = fair(10, large := Work("L", 25), Work("M", 8))
    assert names(line.cut()) == "M"
    line.put(Work("N", 7))
    assert (line.cut(), large.part) == ([large], 10)
    large.weight = large.cost = 15
    line.put(large, first=True)
    assert line.weight == 22
    assert [names(line.cut()) for _ in range(2)] == ["N", "L"]


async def test_what_nobody_waits_for_any_more_is_dropped() -> None:
    works = [Work(name, 4) for name in "abcd"]
    line = fair(10, *works)
    works[0].done.cancel()
    works[2].done.cancel()
    assert [names(line.cut()) for _ in range(2)] == ["b", "d"]
    assert line.weight == 0


@pytest.mark.parametrize("kind", [Line, FairLine])
async def test_cancelling_a_line_cancels_all_that_wait(kind: type[FairLine[Work]]) -> None:
    line = kind(10)
    works = [Work(name, 9) for name in "ab"]
    for work in works:
        line.put(work)
    line.cancel()
    assert ([work.done.cancelled() for work in works], line.weight, line.cut()) == ([True, True], 0, [])


def append_of(count: int, payload: int) -> PendingAppend:
    documents: list[Document] = [{"seq": number} for number in range(count)]
    return PendingAppend(documents, payload, as_of=0)


async def test_an_append_is_written_in_equal_parts() -> None:
    append = append_of(500, 500 * 464)  # 2,000 of cost for each event
    sizes = []
    while append.is_left:
        append.take_part(300_000)
        sizes.append(append.end - append.stored)
        append.advance(append.end)
        append.take_rest()
    assert sizes == [125, 125, 125, 125]
    assert await append.done == 500


async def test_the_rest_of_an_append_weighs_what_is_left_of_it() -> None:
    append, whole = append_of(4, 4000), append_of(1, 1000)
    append.advance(3)
    append.take_rest()
    assert (append.weight, append.cost, append.end) == (whole.weight, whole.cost, 4)


async def test_a_part_is_never_less_than_an_event() -> None:
    append = append_of(2, 1_000_000)
    append.take_part(1000)
    assert (append.end, append.pending) == (1, True)
    append.advance(1)
    assert (append.pending, append.is_left) == (False, True)
