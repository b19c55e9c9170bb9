"""Work of many connections gets a few pieces of each pass of the loop, in the order in which it came."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.support.passes import Passes
from turnwire.gateway.http.portions import Portions


async def test_a_few_pieces_are_done_in_each_pass_and_none_at_once() -> None:
    passes, portions, done = Passes(), Portions(3), list[int]()

    def work(number: int, again: int) -> None:
        passes.done()
        done.append(number)
        if again:
            portions.soon(partial(work, number, again - 1))

    with passes:
        for number in range(10):
            portions.soon(partial(work, number, 4))
        assert done == []
        while len(done) < 50:
            await asyncio.sleep(0)
    assert passes.most == 3
    assert done == [*range(10)] * 5


async def test_a_few_pieces_begin_at_once_in_each_pass_unless_others_wait() -> None:
    portions = Portions(3)
    assert [portions.begin() for _ in range(5)] == [True] * 3 + [False] * 2
    await asyncio.sleep(0)
    assert portions.begin()
    portions.soon(lambda: None)
    assert not portions.begin()
    await asyncio.sleep(0)
    assert portions.begin()


async def test_small_pieces_count_as_parts_of_one() -> None:
    passes, portions, done = Passes(), Portions(2), list[int]()

    def work(number: int) -> None:
        passes.done()
        done.append(number)

    assert [portions.begin(1 / 4) for _ in range(10)] == [True] * 8 + [False] * 2
    with passes:
        for number in range(20):
            portions.soon(partial(work, number), 1 / 4)
        while len(done) < 20:
            await asyncio.sleep(0)
    assert passes.most == 8
    assert done == [*range(20)]


async def test_a_few_small_pieces_now_and_then_keep_no_loop_from_sleeping(monkeypatch: pytest.MonkeyPatch) -> None:
    portions, calls = Portions(2), list[object]()
    with monkeypatch.context() as watched:
        watched.setattr(asyncio.get_running_loop(), "call_soon", calls.append)
        assert portions.begin(1 / 4)
        assert portions.begin(1 / 4)
    assert calls == []


async def test_work_that_fails_does_not_keep_the_rest_from_being_done(caplog: pytest.LogCaptureFixture) -> None:
    passes, portions, done = Passes(), Portions(1), list[int]()
    portions.soon(lambda: done.append(1 // 0))
    portions.soon(lambda: done.append(2))
    with passes:
        for _ in range(5):
            await asyncio.sleep(0)
    assert done == [2]
    assert "ZeroDivisionError" in caplog.text
