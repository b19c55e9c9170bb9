"""Gateways and databases are killed, stopped and drained under load: no acked event is lost, doubled or out of
order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.runs import keeping
from tests.faults.runs import process as runs

pytestmark = [pytest.mark.faults, pytest.mark.e2e]
SEED = 1


async def test_killing_the_gateway_under_load_loses_nothing(tmp_path: Path) -> None:
    await runs.gateway_kills(tmp_path, SEED, kills=2)


async def test_killing_the_gateway_and_its_database_together_loses_nothing(tmp_path: Path) -> None:
    await runs.gateway_kills(tmp_path, SEED, kills=1, embedded=True)


@pytest.mark.parametrize(("embedded", "kills"), [(True, 1), (False, 2)], ids=["its own", "a separate one"])
async def test_killing_the_database_with_events_in_flight_loses_nothing(
    tmp_path: Path, embedded: bool, kills: int
) -> None:
    await runs.database_kills(tmp_path, SEED, kills=kills, embedded=embedded)


async def test_a_database_that_freezes_and_thaws_loses_nothing(tmp_path: Path) -> None:
    await runs.database_stop(tmp_path, SEED, seconds=5.0)


async def test_draining_two_gateways_one_after_the_other_loses_nothing(tmp_path: Path) -> None:
    await runs.drains(tmp_path, SEED, rounds=2, publishers=100)


async def test_killing_the_gateway_while_it_archives_leaves_every_call_readable(tmp_path: Path) -> None:
    await keeping.archive_kills(tmp_path, SEED, kills=3)


async def test_a_thousand_clients_that_reconnect_at_once_lose_nothing(tmp_path: Path) -> None:
    await runs.reconnection_storm(tmp_path, SEED, clients=500)
