"""Three gateways, Redis and a balancer: whichever fails, no acked event is lost, doubled or out of order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.runs import gateways as runs

pytestmark = [pytest.mark.faults, pytest.mark.e2e]
SEED = 1


async def test_no_promise_is_broken_when_a_gateway_is_killed_and_another_freezes_and_wakes(tmp_path: Path) -> None:
    await runs.gateways_fail(tmp_path, SEED)


async def test_no_promise_is_broken_while_redis_is_killed_stopped_emptied_or_cut_off(tmp_path: Path) -> None:
    await runs.redis_fails(tmp_path, SEED)


async def test_publishers_take_sessions_from_each_other_across_gateways(tmp_path: Path) -> None:
    await runs.takeovers_across(tmp_path, SEED, seconds=4.0)


async def test_all_gateways_are_replaced_one_after_the_other_under_load(tmp_path: Path) -> None:
    await runs.rolling_restart(tmp_path, SEED, rate=300, publishers=30)
