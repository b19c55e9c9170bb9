"""The garbage collector stops the event loop for a short time only, however much is in memory."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from turnwire.gateway.running.collector import calm_collector

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
