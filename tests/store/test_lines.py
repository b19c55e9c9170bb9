"""What waits for a group commit: which of it forms the next batch."""

from __future__ import annotations

import asyncio

import pytest

from turnwire.store.event_documents import Document
from turnwire.store.lanes.appends import PendingAppend
from turnwire.store.lanes.lines import FairLine, PlainLine, Shares


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


SHARES = Shares(tiny=2, short=5, short_batch=20, long_batch=10, careful_batch=7)


def fair(*works: Work) -> FairLine[Work]:
    line = FairLine[Work](SHARES)
    for work in works:
        line.put(work)
    return line


async def test_a_plain_line_keeps_its_order_and_cuts_batches_of_a_weight_or_one_submission() -> None:
    line = PlainLine[Work](10)
    for name, weight in zip("abcdef", (4, 6, 1, 50, 9, 2), strict=True):
        line.put(Work(name, weight))
    assert [names(line.cut()) for _ in range(5)] == ["ab", "c", "d", "e", "f"]
    assert (line.cut(), line.weight) == ([], 0)


async def test_what_fits_into_one_batch_of_long_ones_is_one_batch() -> None:
    line = fair(Work("L", 7), Work("s", 3))
    assert not line.is_long
    assert names(line.cut()) == "sL"
    line = fair(Work("s", 4), Work("a", 2), Work("b", 1))
    assert names(line.cut()) == "abs"
    assert (len(line), line.weight, line.cut()) == (0, 0, [])


async def test_short_and_long_submissions_take_turns_each_in_their_order() -> None:
    line = fair(*(Work(name, 6) for name in "KLMN"), *(Work(name, 4) for name in "abcdefgh"))
    assert line.is_long
    batches = [names(line.cut()) for _ in range(6)]
    assert batches == ["abcde", "K", "fgh", "L", "M", "N"]


async def test_tiny_ones_wait_for_one_batch_at_most_which_is_small_however_much_waits() -> None:
    line = fair(*(Work("L", 6) for _ in range(100)), *(Work("s", 3) for _ in range(100)))
    batches = []
    for _ in range(4):
        line.put(Work("t", 1))
        line.put(Work("t", 1))
        batches += [names(line.cut()), names(line.cut())]
    assert batches == ["tt", "ss", "tt", "L"] * 2


async def test_a_batch_beside_another_one_has_the_tiny_ones_alone_while_they_come_beside_others() -> None:
    line = fair(*(Work("s", 4) for _ in range(10)))
    assert (line.has_for_two(40), line.has_for_two(41)) == (True, False)
    assert names(line.cut(beside=True)) == "sssss"
    line.put(Work("t", 1))
    assert names(line.cut(beside=True)) == "t"
    assert not line.has_for_two(1)
    assert line.cut(beside=True) == []
    line.put(Work("t", 1))
    assert line.has_for_two(100)


async def test_tiny_ones_alone_are_not_written_beside_each_other_for_long() -> None:
    line = fair(Work("t", 1), Work("s", 4))
    line.cut()
    for _ in range(100):
        line.put(Work("t", 1))
        line.cut(beside=True)
    line.put(Work("t", 1))
    assert not line.has_for_two(2)


async def test_batches_grow_again_once_no_tiny_ones_come_any_more() -> None:
    line = fair(*(Work("s", 4) for _ in range(500)))
    batches = [len(line.cut())]
    line.put(Work("t", 1))
    batches += [len(line.cut()) for _ in range(100)]
    assert batches == [5, 1] + [1] * 63 + [5] * 36


async def test_a_long_one_beside_tiny_ones_comes_in_small_parts() -> None:
    line = fair(large := Work("L", 18), Work("t", 1))
    assert (names(line.cut()), line.cut(), large.part) == ("t", [large], 7)


async def test_long_and_short_ones_get_their_turns_however_many_tiny_ones_come() -> None:
    line = fair(Work("s", 5), *(Work(name, 6) for name in "LMN"))
    taken = ""
    for _ in range(8):
        for _ in range(40):
            line.put(Work("t", 1))
        taken += names(line.cut())
    assert taken.replace("t", "") == "sLMN"


async def test_what_costs_more_than_a_batch_comes_in_parts_and_its_rest_comes_first() -> None:
    line = fair(large := Work("L", 25), Work("M", 8))
    assert (line.cut(), large.part) == ([large], 10)
    line.put(Work("N", 7))
    large.weight = large.cost = 9
    line.put(large, first=True)
    assert line.weight == 24
    assert [names(line.cut()) for _ in range(3)] == ["L", "M", "N"]


async def test_what_nobody_waits_for_any_more_is_dropped() -> None:
    works = [Work(name, 4) for name in "abcd"]
    line = fair(*works)
    works[0].done.cancel()
    works[2].done.cancel()
    assert names(line.cut()) == "bd"
    assert (len(line), line.weight) == (0, 0)


@pytest.mark.parametrize("line", [PlainLine[Work](10), FairLine[Work](SHARES)])
async def test_cancelling_a_line_cancels_all_that_wait(line: PlainLine[Work] | FairLine[Work]) -> None:
    works = [Work(name, cost) for name, cost in (("a", 1), ("b", 4), ("c", 9))]
    for work in works:
        line.put(work)
    line.cancel()
    assert ([work.done.cancelled() for work in works], line.weight, line.cut()) == ([True] * 3, 0, [])


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
