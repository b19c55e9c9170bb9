"""The garbage collector stops the event loop for a short time only, however much is in memory."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

from turnwire.gateway.running import collector
from turnwire.gateway.running.collector import calm_collector, scan_often

_MOST_AT_ONCE = 20_000
"""Some 5 ms."""


@pytest.fixture
def scans() -> Iterator[list[int]]:
    """How many objects each scan visits, with the collector as a gateway sets it."""
    made, before = list[int](), gc.get_threshold()

    def begins(phase: str, scan: dict[str, int]) -> None:
        if phase == "start":
            made.append(sum(len(gc.get_objects(generation=age)) for age in range(scan["generation"] + 1)))

    gc.callbacks.append(begins)
    calm_collector()
    yield made
    gc.callbacks.remove(begins)
    gc.set_threshold(*before)
    gc.unfreeze()


def test_the_collector_scans_few_objects_at_a_time_however_many_are_kept(scans: list[int]) -> None:
    kept = [{number: [number]} for number in range(150_000)]
    assert len(scans) > len(kept) // _MOST_AT_ONCE
    assert max(scans) < _MOST_AT_ONCE


def test_the_first_clients_do_not_wait_for_a_scan_of_all_that_was_imported(scans: list[int]) -> None:
    assert scans == []


def test_the_collector_frees_young_cycles(scans: list[int]) -> None:
    def cycle() -> None:
        each: list[object] = []
        each.append(each)

    for _ in range(150_000):
        cycle()
    assert len(gc.get_objects()) < 3 * _MOST_AT_ONCE


async def test_objects_that_replace_others_are_scanned_before_they_are_many(
    scans: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "_PAUSE", 0)
    waiting: list[list[int]] = [[] for _ in range(30_000)]
    scanning = asyncio.create_task(scan_often())
    del scans[:]
    for number in range(len(waiting)):
        waiting[number] = [number]
        if number % 1_000 == 0:
            await asyncio.sleep(0)
    scanning.cancel()
    more: list[list[int]] = [[] for _ in range(6_000)]  # enough for a scan of its own
    assert len(waiting) + len(more) > _MOST_AT_ONCE > max(scans)


async def test_a_loop_with_little_to_do_is_woken_for_a_scan_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts as little to use up to a fifth of a core."""
    pauses, clock, left = list[float](), [0.0], [0.06, 0.008, 0.04, 0.12, 0.01]  # seconds of work in each pause

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += left.pop()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(IndexError):
        await scan_often(lambda _: None, lambda: clock[0])
    assert pauses == [0.1, 0.4, 0.1, 0.1, 0.4, 0.4]


async def test_what_has_survived_a_scan_is_scanned_with_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    class Enough(Exception):
        """Ends the scans."""

    def scan(generation: int) -> None:
        scanned.append(generation)
        if len(scanned) == 3:
            raise Enough

    scanned: list[int] = []
    monkeypatch.setattr(collector, "_PAUSE", 0)
    with pytest.raises(Enough):
        await scan_often(scan)
    assert scanned == [1, 1, 1]
