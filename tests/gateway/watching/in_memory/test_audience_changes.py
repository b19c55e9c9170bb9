"""A change of the session is shown to a large audience a slice at a time, in its place among the events."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.watching.in_memory.stage import Listener, Stage, round_seconds
from turnwire.gateway.watching.audience import SLICE

MANY = 2 * SLICE + 1


async def served(stage: Stage) -> list[int]:
    """Return how many watchers have been served after each pass of the loop, until nothing more happens."""
    counts = [len(stage.order)]
    for _ in range(10):
        await asyncio.sleep(0)
        if len(stage.order) != counts[-1]:
            counts.append(len(stage.order))
    return counts


async def test_a_change_is_shown_to_a_small_audience_at_once() -> None:
    stage = Stage(SLICE)
    stage.change("active")
    stage.change("completed")
    assert stage.heard() == [["active 0", "completed 0"]] * SLICE


async def test_a_change_is_shown_to_a_larger_audience_a_slice_at_a_time() -> None:
    stage = Stage(MANY)
    stage.change("active")
    assert await served(stage) == [SLICE, 2 * SLICE, MANY]
    assert stage.heard() == [["active 0"]] * MANY


async def test_slices_of_a_change_get_half_of_the_time_while_anybody_waits_for_an_ack() -> None:
    stage = Stage(MANY)
    stage.advance()
    await served(stage)
    stage.order.clear()
    stage.storing.size = 1
    stage.change()
    assert await served(stage) == [SLICE]
    await asyncio.sleep(round_seconds(SLICE) * 1.1)
    assert len(stage.order) == 2 * SLICE


async def test_every_watcher_sees_the_events_before_a_change_then_the_session_as_it_was_then_the_later_events() -> None:
    stage = Stage(MANY)
    stage.advance()
    stage.change("active")
    stage.advance(2)
    stage.change("completed")
    stage.advance()
    await asyncio.sleep(1)
    assert stage.heard() == [[1, "active 1", 2, 3, "completed 3", 4]] * MANY


@pytest.mark.parametrize("passes", range(6))
async def test_a_watcher_that_joins_after_a_change_is_not_shown_it_again(passes: int) -> None:
    stage = Stage(MANY)
    stage.advance()
    stage.change("active")
    for _ in range(passes):
        await asyncio.sleep(0)
    late = stage.join()
    stage.change("completed")
    await asyncio.sleep(1)
    assert late.heard == ["completed 1"]


def catch_up(listener: Listener, seqs: list[int]) -> None:
    """Let the watcher have read these events from the store, up to the head, and join there."""
    listener.heard += seqs
    listener.cursor = seqs[-1]
    asyncio.get_running_loop().create_task(listener.catch_up())


async def test_a_watcher_that_catches_up_is_shown_the_session_as_it_is_and_no_older_picture() -> None:
    stage = Stage(MANY)
    slow = stage.listeners[-1]
    stage.advance()
    stage.change("active")
    slow.behind = True
    stage.advance()
    stage.change("completed")
    catch_up(slow, [1, 2])
    await asyncio.sleep(1)
    assert slow.heard == [1, 2, "completed 2"]
    assert stage.heard()[:-1] == [[1, "active 1", 2, "completed 2"]] * (MANY - 1)


async def test_a_watcher_without_room_is_shown_a_change_once_it_has_caught_up() -> None:
    stage = Stage(MANY)
    slow = stage.listeners[-1]
    slow.outbox.size = slow.outbox.max_bytes
    stage.change("active")
    await served(stage)
    assert (slow.heard, slow.was_behind) == ([], True)
    slow.outbox.size = 0
    await slow.catch_up()
    assert stage.heard() == [["active 0"]] * MANY


async def test_of_many_changes_that_wait_the_first_and_the_newest_of_each_status_are_shown() -> None:
    stage = Stage(MANY)
    for _ in range(20):
        stage.advance()
        stage.change("active")
    stage.change("completed")
    await asyncio.sleep(1)
    expected = [1, "active 1", *range(2, 21), "active 20", "completed 20"]
    assert stage.heard() == [expected] * MANY


async def test_a_large_audience_rests_after_a_change_as_long_as_it_was_shown() -> None:
    stage = Stage(MANY)
    stage.change()
    assert await served(stage) == [SLICE, 2 * SLICE, MANY]
    stage.change()
    await asyncio.sleep(round_seconds(MANY) * 0.9)
    assert len(stage.order) == MANY
    await asyncio.sleep(round_seconds(MANY) * 0.2)
    assert stage.heard() == [["initiated 0", "initiated 0"]] * MANY


async def test_a_change_that_waits_is_not_shown_once_the_session_is_erased() -> None:
    stage = Stage(MANY)
    stage.advance()
    stage.change("active")
    stage.audience.erased()
    await asyncio.sleep(1)
    assert stage.heard() == [[1, "erased"]] * SLICE + [["erased"]] * (MANY - SLICE)


async def test_a_watcher_that_leaves_is_shown_no_change_that_waits() -> None:
    stage = Stage(MANY)
    stage.change("active")
    stage.listeners[-1].close()
    await served(stage)
    assert stage.heard() == [["active 0"]] * (MANY - 1) + [[]]
