"""Signals are shown in slices with rests in between, however many come and however many watch."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.watching.in_memory.stage import Stage, round_seconds
from turnwire.gateway.watching.audience import MOST_SIGNALS, SLICE

MANY = 2 * SLICE + 1


async def test_signals_come_in_their_order_among_the_events() -> None:
    stage = Stage(MANY)
    stage.advance()
    stage.audience.signalled("a", {})
    stage.advance()
    stage.advance()
    stage.audience.signalled("b", {})
    await asyncio.sleep(1)
    assert stage.heard() == [[1, "a", 2, 3, "b"]] * MANY


async def test_a_signal_is_shown_to_a_few_watchers_at_once() -> None:
    stage = Stage(3)
    for number in range(3):
        stage.audience.signalled("a", {"n": number})
    assert stage.heard() == [["a0", "a1", "a2"]] * 3


@pytest.mark.parametrize("watchers", [10, SLICE, MANY])
async def test_a_flood_of_signals_is_shown_in_slices_with_rests_and_the_newest_of_each_key_wins(watchers: int) -> None:
    stage = Stage(watchers)
    loop = asyncio.get_running_loop()
    began, most, now = loop.time(), 0.0, stage.passes.now
    for number in range(10):
        for key in range(MOST_SIGNALS):
            stage.audience.signalled(f"k{key}.", {"n": number})
    newest: list[int | str] = [f"k{key}.9" for key in range(MOST_SIGNALS)]
    while stage.listeners[-1].heard[-1:] != newest[-1:]:
        most, now = max(most, stage.passes.now - now), stage.passes.now
        await asyncio.sleep(0.0005)
    assert all(heard[-MOST_SIGNALS:] == newest for heard in stage.heard())
    assert most <= 2 * round_seconds(SLICE)
    stage.audience.signalled("last", {})
    await asyncio.sleep(10)
    assert [heard[-1] for heard in stage.heard()] == ["last"] * watchers
    assert loop.time() - began >= round_seconds(watchers * MOST_SIGNALS)


async def test_of_more_keys_than_may_wait_the_newest_are_shown() -> None:
    stage = Stage(MANY)
    for key in range(2 * MOST_SIGNALS):
        stage.audience.signalled(f"k{key}", {})
    await asyncio.sleep(1)
    kept = [f"k{key}" for key in (0, *range(MOST_SIGNALS, 2 * MOST_SIGNALS))]
    assert stage.heard() == [kept] * MANY


async def test_news_of_the_session_does_not_wait_for_signals_to_a_large_audience() -> None:
    stage = Stage(MANY)
    stage.audience.signalled("a", {})
    stage.advance()
    stage.audience.signalled("b", {})
    stage.change("active")
    await asyncio.sleep(round_seconds(5 * MANY))
    assert stage.heard() == [["a", 1, "active 1"]] * SLICE + [[1, "active 1"]] * (MANY - SLICE)
