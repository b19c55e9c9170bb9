"""Clients that take over, stop reading or idle by the thousands harm neither the promise of the ack nor the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.runs import clients as runs

pytestmark = [pytest.mark.faults, pytest.mark.e2e]
SEED = 1


async def test_two_publishers_take_a_session_from_each_other_a_hundred_times(tmp_path: Path) -> None:
    await runs.takeovers(tmp_path, SEED, count=100)


async def test_a_subscriber_that_stops_reading_costs_nobody_else_anything(tmp_path: Path) -> None:
    await runs.slow_subscriber(tmp_path, SEED, seconds=3.0)


async def test_five_thousand_idle_connections_are_left_alone(tmp_path: Path) -> None:
    await runs.idle_crowd(tmp_path, SEED, idle=5000, pings=2)
