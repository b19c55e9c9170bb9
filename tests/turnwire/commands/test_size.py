"""`turnwire size`: how large the machines must be, from the costs that the documents give."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from tests.support.processes import ROOT
from turnwire.cli import app
from turnwire.commands import sizing
from turnwire.commands.sizing import Load, row, size_of

PERFORMANCE = " ".join((ROOT / "docs" / "performance.md").read_text().split())
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text()


def said(*args: str) -> str:
    result = CliRunner().invoke(app, ["size", *args])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_page_has_the_table_and_the_assumptions_that_the_command_prints() -> None:
    page = (ROOT / "docs" / "deploy" / "sizing.md").read_text()
    table, _, assumptions = said().partition("\n\n")
    assert f"\n{table}\n" in page
    words = " ".join(page.split())
    for line in assumptions.strip().splitlines():
        assert " ".join(line.split()) in words


def test_the_costs_are_those_of_the_performance_page() -> None:
    rates, gateway, database = zip(*sizing.PACED, strict=True)
    shown = [" / ".join(map(str, each)) for each in (gateway, database)]
    assert rates == (200, 500, 1000)
    assert (
        f"| event at 200 / 500 / 1,000 a second, with one subscriber | {shown[0]} µs | {shown[1]} µs |" in PERFORMANCE
    )
    assert f"| event, 1 per frame, full speed | {sizing.BUSY[0]} µs | {sizing.BUSY[1]:g} µs |" in PERFORMANCE
    assert f"one event at a time | {sizing.DELIVERY} / " in PERFORMANCE
    assert f"creating and claiming take {sizing.CALL / 1000:g} ms of CPU" in PERFORMANCE
    assert f"an update costs as much as 20 to {sizing.WRITE_EVENTS} events" in PERFORMANCE
    assert f"one more for every {sizing.EVENTS_A_WRITE} events" in PERFORMANCE
    assert f"| silent connection | {sizing.CONNECTION_BYTES // 1000} KB" in PERFORMANCE
    assert f"| publisher with its session | {sizing.SESSION_BYTES // 1000} KB" in PERFORMANCE
    assert f"up to {sizing.EVENT_ID_BYTES} for a UUID" in PERFORMANCE
    assert f"| event on disk | {sizing.EVENT_DISK_BYTES / 1000:g} KB" in PERFORMANCE


def test_an_empty_process_is_what_is_left_of_the_measured_crowd_without_its_connections() -> None:
    crowd = re.search(r"5,000 idle connections, 20 active publishers .*?; (\d+) MiB in all", RELIABILITY)
    assert crowd
    left = int(crowd[1]) * 2**20 - 5020 * sizing.CONNECTION_BYTES
    assert 0.9 < left / sizing.PROCESS_BYTES < 1.1


def test_between_measured_rates_the_cores_lie_between_those_measured() -> None:
    def cores(calls: int) -> float:
        return sizing._gateway_cores(Load(calls, events=1, minutes=1e9), 1)

    assert cores(200) == pytest.approx(200 * 907e-6)
    assert cores(500) == pytest.approx(500 * 645e-6)
    assert cores(200) < cores(350) < cores(500) < cores(1000) < cores(5000)


@pytest.mark.parametrize("calls", [1, 500, 5_000, 50_000, 500_000])
def test_more_calls_never_need_less(calls: int) -> None:
    less, more = size_of(Load(calls)), size_of(Load(2 * calls))
    assert less.processes <= more.processes
    assert less.database_cores <= more.database_cores
    assert less.disk_bytes_a_day < more.disk_bytes_a_day
    assert less.embedded >= more.embedded


def test_no_process_and_no_database_is_busier_than_it_may_be() -> None:
    for calls in sizing.USUAL_CALLS:
        size = size_of(Load(calls))
        assert sizing._gateway_cores(size.load, size.processes) / size.processes <= sizing.FULL
        assert sizing._database_cores(size.load, size.processes) / size.database_cores <= sizing.FULL


def test_settings_are_named_where_the_defaults_do_not_suffice() -> None:
    assert list(size_of(Load(100)).settings) == []
    watched = size_of(Load(5_000, events=0.01, watchers=5))
    assert watched.processes == 1
    assert watched.connections == 30_000
    assert "TURNWIRE_MAX_CONNECTIONS=50000" in list(watched.settings)


def test_one_size_is_printed_line_by_line_with_its_assumptions() -> None:
    output = said("--calls", "5000", "--events", "2", "--minutes", "10", "--watchers", "3")
    assert row(size_of(Load(5000, events=2, minutes=10, watchers=3)))[2] in output
    assert "  10,000\n" in output
    assert "A call lasts 10 minutes, sends 2 events a second, and has 3 watchers." in output
