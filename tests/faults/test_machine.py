"""The machine's clock jumps and its disk is full: order, ids and acks hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.runs import machine as runs

pytestmark = [pytest.mark.faults, pytest.mark.e2e]
SEED = 1


async def test_a_clock_that_jumps_back_and_forth_breaks_no_promise(tmp_path: Path) -> None:
    await runs.clock_jumps(tmp_path, SEED, seconds=0.5, rate=25)


async def test_a_disk_that_is_full_for_a_while_breaks_no_promise(tmp_path: Path) -> None:
    await runs.full_disk(tmp_path, SEED, seconds=1.0)
