"""The connection to the database is cut, silent, slow or half-open, or the database fails commands: acks stay true."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.runs import network as runs

pytestmark = [pytest.mark.faults, pytest.mark.e2e]
SEED = 1


async def test_a_network_to_the_database_that_breaks_in_every_way_breaks_no_promise(tmp_path: Path) -> None:
    await runs.broken_network(tmp_path, SEED, seconds=0.5, silence=2.5)


async def test_inserts_and_updates_that_fail_in_every_way_break_no_promise(tmp_path: Path) -> None:
    await runs.failing_commands(tmp_path, SEED, seconds=0.3)
