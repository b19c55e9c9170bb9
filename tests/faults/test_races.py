"""Races between publishers, REST callers, takeovers, crashes and a database that fails, each schedule from its seed."""

from __future__ import annotations

import pytest

from tests.faults.put_backs import play_put_backs
from tests.faults.races import play_schedules

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("first", range(0, 800, 50))
@pytest.mark.parametrize("gateways", [2, 3])
def test_no_schedule_of_several_gateways_breaks_a_promise(gateways: int, first: int) -> None:
    play_schedules(range(first, first + 50), gateways)


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_no_schedule_of_a_single_gateway_breaks_a_promise(first: int) -> None:
    play_schedules(range(first, first + 100), gateways=1)


@pytest.mark.parametrize(("gateways", "schedules"), [(2, 75), (3, 75)])
def test_no_schedule_of_gateways_on_an_unreliable_bus_breaks_a_promise(gateways: int, schedules: int) -> None:
    play_schedules(range(schedules), gateways, bus=True)


@pytest.mark.parametrize("gateways", [1, 2, 3])
def test_a_database_put_back_to_an_older_copy_leaves_no_hole_and_no_double(gateways: int) -> None:
    play_put_backs(range(60), gateways)
