"""A large audience is served a slice at a time: everybody else gets a turn, and no watcher misses anything."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from tests.gateway.watching.in_memory.stage import Stage, round_seconds
from turnwire.gateway.watching.audience import MOST_WAITING, SLICE, watchers_of

MANY = 2 * SLICE + 1


async def turns(count: int) -> None:
    """Let the loop do what is due, this many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_an_audience_of_one_slice_is_served_at_once() -> None:
    stage = Stage(SLICE)
    stage.advance()
    assert stage.heard() == [[1]] * SLICE


async def test_a_larger_audience_is_served_a_slice_at_a_time_in_order_of_arrival() -> None:
    stage = Stage(MANY)
    stage.advance()
    served = [len(stage.order)]
    for _ in range(3):
        await turns(1)
        served.append(len(stage.order))
    assert served == [SLICE, 2 * SLICE, MANY, MANY]
    assert stage.order == stage.listeners


async def test_events_that_come_while_watchers_are_served_are_offered_together() -> None:
    stage = Stage(MANY)
    for _ in range(3):
        stage.advance()
    await asyncio.sleep(1)
    assert stage.heard() == [[1, 2, 3]] * MANY
    assert len(stage.order) == 2 * MANY


async def test_a_large_audience_that_is_slower_than_its_publisher_rests_as_long_as_it_was_served() -> None:
    stage = Stage(MANY)
    stage.advance()
    stage.advance()
    await turns(3)
    assert stage.heard() == [[1]] * MANY
    await asyncio.sleep(round_seconds(MANY) * 0.9)
    stage.advance()
    assert stage.heard() == [[1]] * MANY
    await asyncio.sleep(round_seconds(MANY) * 0.2)
    assert stage.heard() == [[1, 2, 3]] * MANY


async def test_a_large_audience_also_rests_after_events_that_came_together() -> None:
    stage = Stage(MANY)
    stage.advance(2)
    await turns(3)
    stage.advance()
    await turns(3)
    assert stage.heard() == [[1, 2]] * MANY
    await asyncio.sleep(round_seconds(MANY) * 1.1)
    assert stage.heard() == [[1, 2, 3]] * MANY


async def test_a_large_audience_is_served_at_once_if_events_come_one_at_a_time() -> None:
    stage = Stage(MANY)
    for seq in (1, 2, 3):
        stage.advance()
        await turns(3)
        assert stage.heard() == [[*range(1, seq + 1)]] * MANY


async def test_slices_get_half_of_the_time_while_anybody_waits_for_an_ack() -> None:
    stage = Stage(MANY)
    stage.storing.size = 1
    stage.advance()
    await turns(3)
    assert len(stage.order) == SLICE
    await asyncio.sleep(round_seconds(SLICE) * 1.1)
    assert len(stage.order) == 2 * SLICE
    stage.storing.size = 0
    await asyncio.sleep(round_seconds(SLICE) * 1.1)
    assert stage.heard() == [[1]] * MANY


async def test_the_time_in_which_the_loop_writes_the_frames_of_a_slice_counts_too() -> None:
    stage = Stage(MANY)
    stage.storing.size = 1
    stage.advance()
    stage.passes.done(0.01)  # at the end of the pass
    await turns(3)
    await asyncio.sleep(0.009)
    assert len(stage.order) == SLICE
    await asyncio.sleep(0.004)
    assert len(stage.order) == 2 * SLICE


async def test_the_slices_of_an_event_that_comes_alone_follow_each_other() -> None:
    stage = Stage(MANY)
    stage.storing.size = 1  # the event itself counts until its append is done
    stage.advance()
    stage.storing.size = 0
    await turns(3)
    assert stage.heard() == [[1]] * MANY


async def test_an_audience_of_one_slice_never_rests() -> None:
    stage = Stage(SLICE)
    for seq in (2, 4, 6):
        stage.advance(2)
        assert stage.heard() == [[*range(1, seq + 1)]] * SLICE


async def test_a_watcher_that_joins_meanwhile_misses_nothing_and_sees_nothing_twice() -> None:
    stage = Stage(MANY)
    stage.advance()
    late = [stage.join()]
    stage.advance()
    late.append(stage.join())
    await asyncio.sleep(1)
    stage.advance()
    await asyncio.sleep(1)
    assert [each.heard for each in late] == [[2, 3], [3]]
    assert not any(each.was_behind for each in (*late, *stage.listeners))


async def test_a_watcher_that_leaves_while_others_are_served_gets_nothing_more() -> None:
    stage = Stage(MANY)
    stage.advance()
    stage.listeners[-1].close()
    await turns(3)
    assert stage.heard() == [[1]] * (MANY - 1) + [[]]
    for listener in stage.listeners:
        listener.close()
    assert watchers_of(stage.state) == {}


async def test_a_rollback_comes_after_the_events_before_it() -> None:
    heards: Sequence[tuple[int, list[int | str]]] = ((1, [1, 2, "broken off"]), (2, [1, 2]))
    for last_seq, heard in heards:
        stage = Stage(MANY)
        stage.advance()
        stage.advance()
        stage.audience.rolled_back(last_seq)
        assert stage.heard() == [heard] * MANY
        await asyncio.sleep(1)
        assert stage.heard() == [heard] * MANY


async def test_events_that_wait_are_not_shown_once_the_session_is_erased() -> None:
    stage = Stage(MANY)
    stage.advance()
    stage.advance()
    stage.audience.erased()
    await asyncio.sleep(1)
    assert stage.heard() == [[1, "erased"]] * SLICE + [["erased"]] * (MANY - SLICE)


async def test_events_beyond_the_bound_are_shown_to_all_watchers_at_once() -> None:
    stage = Stage(MANY)
    stage.advance()
    stage.advance(MOST_WAITING)
    assert [len(heard) for heard in stage.heard()] == [1] * SLICE + [0] * (MANY - SLICE)
    stage.advance()
    expected: list[int | str] = [*range(1, MOST_WAITING + 3)]
    assert stage.heard() == [expected] * MANY


async def test_others_have_their_turn_between_two_slices() -> None:
    stage = Stage(MANY)
    stage.advance()
    seen: list[int] = []
    asyncio.get_running_loop().call_soon(partial(lambda: seen.append(len(stage.order))))
    await turns(4)
    assert seen == [2 * SLICE]
