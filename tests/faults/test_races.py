"""Races between publishers, REST callers, takeovers, crashes and a database that fails, each schedule from its seed."""

from __future__ import annotations

import pytest

from tests.faults.races import play_schedules

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(("gateways", "schedules"), [(1, 400), (2, 800), (3, 800)])
def test_no_schedule_loses_doubles_or_disorders_an_acked_event(gateways: int, schedules: int) -> None:
    play_schedules(range(schedules), gateways)


@pytest.mark.parametrize(("gateways", "schedules"), [(2, 75), (3, 75)])
def test_nor_does_one_of_gateways_on_a_bus_that_loses_delays_doubles_and_reorders(
    gateways: int, schedules: int
) -> None:
    play_schedules(range(schedules), gateways, bus=True)
