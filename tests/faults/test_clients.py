"""Clients that take over, stop reading, or idle by the thousands harm neither the promise of the ack nor other
clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.runs import clients as runs

pytestmark = [pytest.mark.faults, pytest.mark.e2e]
SEED = 1


async def test_a_hundred_takeovers_between_two_publishers_keep_every_promise(tmp_path: Path) -> None:
    await runs.takeovers(tmp_path, SEED, count=100)


async def test_a_subscriber_that_stops_reading_costs_other_clients_nothing(tmp_path: Path) -> None:
    await runs.slow_subscriber(tmp_path, SEED, seconds=3.0)


async def test_five_thousand_idle_connections_stay_open(tmp_path: Path) -> None:
    await runs.idle_crowd(tmp_path, SEED, idle=5000, pings=2)
