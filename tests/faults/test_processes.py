"""Gateways and databases are killed, stopped and drained under load: nothing acked is lost, doubled or disordered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.runs import process as runs

pytestmark = [pytest.mark.faults, pytest.mark.e2e]
SEED = 1


async def test_the_gateway_is_killed_under_load(tmp_path: Path) -> None:
    await runs.gateway_kills(tmp_path, SEED, kills=2)


async def test_the_gateway_is_killed_together_with_its_own_database(tmp_path: Path) -> None:
    await runs.gateway_kills(tmp_path, SEED, kills=1, embedded=True)


@pytest.mark.parametrize(("embedded", "kills"), [(True, 1), (False, 2)], ids=["its own", "a separate one"])
async def test_the_database_is_killed_with_events_in_flight(tmp_path: Path, embedded: bool, kills: int) -> None:
    await runs.database_kills(tmp_path, SEED, kills=kills, embedded=embedded)


async def test_the_database_stands_still_and_goes_on(tmp_path: Path) -> None:
    await runs.database_stop(tmp_path, SEED, seconds=5.0)


async def test_two_gateways_are_drained_one_after_the_other(tmp_path: Path) -> None:
    await runs.drains(tmp_path, SEED, rounds=2)


async def test_a_thousand_clients_come_back_at_once(tmp_path: Path) -> None:
    await runs.reconnection_storm(tmp_path, SEED, clients=500)
