"""The frames of one connection, or of many that have frames at the same moment, leave the loop to others."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

import pytest

from tests.support.passes import Passes
from turnwire.gateway.connections.turn import Turn
from turnwire.gateway.turns import SLICE_SECONDS, Turns

FRAME = SLICE_SECONDS / 40
"""Seconds that a frame takes in these tests."""


class Reader:
    """A connection that handles frames as fast as it may."""

    def __init__(self, passes: Passes, turns: Turns, client: Hashable = "one") -> None:
        self.turn = Turn(turns, 32, SLICE_SECONDS)
        self.turn.client = client
        self.handled = 0
        self._passes = passes

    async def handle(self, frames: int) -> None:
        """Handle frames that have arrived together."""
        if self.turn.begin():
            await self.turn.next(frames - 1)
        for left in reversed(range(frames)):
            self._passes.done(FRAME)
            self.handled += 1
            if self.turn.is_over():
                await self.turn.next(left)


async def some_passes(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("frames", [1, 20, 100])
async def test_of_many_connections_with_frames_at_once_a_few_are_served_in_each_pass(frames: int) -> None:
    passes = Passes()
    turns = Turns(passes.clock, passes.clock)
    readers = [Reader(passes, turns) for _ in range(200)]
    with passes:
        await asyncio.gather(*(each.handle(frames) for each in readers))
    assert passes.work.total() == 200 * frames
    assert passes.most * FRAME <= 4 * SLICE_SECONDS


async def test_a_few_connections_with_a_frame_at_a_time_never_wait_for_a_turn() -> None:
    passes = Passes()
    turns = Turns(passes.clock, passes.clock)
    readers = [Reader(passes, turns) for _ in range(10)]
    with passes:
        for _ in range(31):  # then a turn is over
            before = passes.number
            for each in readers:
                await each.handle(1)
            assert passes.number == before
            await some_passes(2)


@pytest.mark.parametrize("client", ["one", "another"])
async def test_a_connection_with_a_frame_now_and_then_does_not_wait_for_those_that_send_without_a_pause(
    client: str,
) -> None:
    passes = Passes()
    turns = Turns(passes.clock, passes.clock)
    busy = [asyncio.create_task(Reader(passes, turns).handle(1_000_000)) for _ in range(100)]
    calm = Reader(passes, turns, client)
    waited = []
    with passes:
        await some_passes(10)
        for _ in range(20):
            before = passes.number
            busy += [asyncio.create_task(Reader(passes, turns).handle(30)) for _ in range(5)]
            await asyncio.create_task(calm.handle(1))  # comes late in its pass
            waited.append(passes.number - before)
            await some_passes(5)
    for each in busy:
        each.cancel()
    assert max(waited) <= 5


async def test_the_clients_get_equal_shares_however_many_connections_they_have() -> None:
    passes = Passes()
    turns = Turns(passes.clock, passes.clock)
    many = [Reader(passes, turns, "many") for _ in range(50)]
    few = [Reader(passes, turns, "few") for _ in range(2)]
    tasks = [asyncio.create_task(each.handle(1_000_000)) for each in many + few]
    with passes:
        await some_passes(500)
    for task in tasks:
        task.cancel()
    first, second = (sum(each.handled for each in readers) for readers in (many, few))
    assert 0.7 < first / second < 1.5


async def next_pass() -> None:
    """Let the loop do what is due, where `asyncio.sleep` is replaced."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(done.set_result, None)
    await done


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of all pauses, which are not made."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(round(seconds, 6))

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return made


@pytest.mark.parametrize("wasted", [False, True])
async def test_a_turn_of_wasted_frames_has_a_pause_after_it_and_another_has_none(
    pauses: list[float], *, wasted: bool
) -> None:
    passes = Passes()
    turn = Turn(Turns(passes.clock, passes.clock), 4, 1.0)
    for number in range(120):
        turn.begin()
        if wasted:
            turn.waste()
        passes.done(0.000_03)
        assert turn.is_over() == (number % 4 == 3)
        if number % 4 == 3:
            await turn.next(4)
            await next_pass()
            passes.now += 0.001
    assert pauses[:16] == [0] * 16  # 2 ms are free
    assert pauses[17:] == [0.000_48 if wasted else 0] * 13


async def test_a_connection_that_wastes_little_does_not_wait_for_those_that_waste_much(pauses: list[float]) -> None:
    passes = Passes()
    turns = Turns(passes.clock, passes.clock)
    turn = Turn(turns, 8, 1.0)
    for number in range(800):
        turns.wasted.delay(10.0)  # those of others
        turn.begin()
        if number % 4 == 0:
            turn.waste()  # a pong, for instance
        passes.done(0.0001)
        if turn.is_over():
            assert not turn.is_last
            await turn.next(0)
        passes.now += 0.05
    assert set(pauses) <= {0}


async def test_a_turn_is_over_by_its_time_or_by_its_frames_and_a_limit_of_0_is_none() -> None:
    passes = Passes()

    def frames_of(most_frames: int, most_seconds: float) -> int:
        turn = Turn(Turns(passes.clock, passes.clock), most_frames, most_seconds)
        for number in range(1, 1000):
            turn.begin()
            passes.done(0.001)
            if turn.is_over():
                return number
        return 0

    assert [frames_of(32, 0.0), frames_of(32, 0.0025), frames_of(0, 0.0025), frames_of(0, 0.0)] == [32, 3, 3, 0]


async def test_a_turn_starts_over_once_others_have_had_theirs() -> None:
    passes = Passes()
    turn = Turn(Turns(passes.clock, passes.clock), 3, 0.01)
    for _ in range(10):
        turn.begin()
        passes.done(1.0)  # waiting for room, for instance
        turn.begin(anew=True)
        passes.done(0.001)
        assert not turn.is_over()


async def test_time_in_which_other_processes_ran_does_not_end_a_turn() -> None:
    passes, worked = Passes(), Passes()
    turn = Turn(Turns(passes.clock, worked.clock), 0, 0.002)
    turn.begin(anew=True)
    passes.done(0.005)
    assert not turn.is_over()
    for clock in (passes, worked):
        clock.done(0.002)
    assert turn.is_over()
    await turn.next(0)
    passes.done(0.005)
    assert not turn.is_over()


async def test_a_turn_does_not_start_over_before_its_wasted_time_is_made_up_for(pauses: list[float]) -> None:
    passes = Passes()
    turn = Turn(Turns(passes.clock, passes.clock), 4, 1.0)
    for number in range(4):
        turn.begin(anew=True)
        turn.waste()
        passes.done(0.003)
        assert turn.is_over() == (number == 3)
    await turn.next(0)
    assert pauses == [pytest.approx(4 * 0.012)]


def test_frames_that_are_handled_together_count_as_each_of_them() -> None:
    turn = Turn(Turns(), 32, 1.0)
    turn.begin(anew=True)
    turn.also(turn.left - 2)
    assert not turn.is_over()
    assert turn.left == 1
    assert turn.is_over()
    assert Turn(Turns(), 0, 1.0).left > 1
