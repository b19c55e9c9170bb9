"""A large commit answers its appends in slices, because each answer wakes a session."""

from __future__ import annotations

import asyncio

from tests.support.passes import Passes
from turnwire.store.lanes.answers import AT_ONCE, Answers
from turnwire.store.lanes.appends import PendingAppend

COUNT = 5 * AT_ONCE + 7


async def test_many_answers_are_given_a_slice_in_each_pass_in_order() -> None:
    passes, answers, answered = Passes(), Answers(), list[int]()
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(COUNT)]

    def note(done: asyncio.Future[int]) -> None:
        passes.done()
        answered.append(done.result())

    for future in futures:
        future.add_done_callback(note)
    with passes:
        for number, future in enumerate(futures):
            answers.give(future, number)
        assert sum(future.done() for future in futures) == AT_ONCE, "the first are not kept waiting"
        while len(answered) < COUNT:
            await asyncio.sleep(0)
    assert passes.most <= AT_ONCE
    assert answered == [*range(COUNT)]


async def test_a_caller_that_gives_up_meanwhile_gets_no_answer() -> None:
    answers, loop = Answers(), asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(AT_ONCE + 2)]
    for future in futures:
        answers.give(future, 1)
    futures[-2].cancel()
    assert await futures[-1] == 1
    assert futures[-2].cancelled()


async def test_an_append_whose_answer_waits_is_over_for_its_lane() -> None:
    answers = Answers()
    for _ in range(AT_ONCE):
        answers.give(asyncio.get_running_loop().create_future(), 1)
    append = PendingAppend([{"_id": "s/1"}, {"_id": "s/2"}], 10, as_of=0)
    append.answers = answers
    append.advance(2)
    assert not append.done.done()
    assert not append.pending
    assert not append.is_left
    append.fail(ValueError("too late"))
    append.finish()
    assert await append.done == 2
