"""The report of a bench run, as tables and as JSON."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.goals import GoalOutcome, outcomes
from bench.meter import Figures

_PACKAGES = ("aiohttp", "motor", "msgspec", "pymongo", "uvloop")


class Report(Struct, frozen=True):
    measured_at: str
    machine: str
    database: str
    versions: dict[str, str]
    rounds: list[Figures]
    medians: Figures
    goals: list[GoalOutcome]


def make_report(rounds: list[Figures], database: str, *, judged: bool) -> Report:
    """Make a report of all rounds. Compare the figures with the goals only if `judged`."""
    names = dict.fromkeys(name for figures in rounds for name in figures)
    return Report(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=f"{os.cpu_count()} cores, {platform.machine()} {platform.system()}, Python {platform.python_version()}",
        database=database,
        versions={package: version(package) for package in _PACKAGES},
        rounds=rounds,
        medians={name: median(figures[name] for figures in rounds if name in figures) for name in names},
        goals=outcomes(rounds) if judged else [],
    )


def print_report(report: Report, console: Console) -> None:
    if report.goals:
        console.print(_goals_table(report))
    console.print(_figures_table(report))
    console.print(f"{report.machine}; {report.database}; medians of {len(report.rounds)} rounds", style="dim")


def save_report(report: Report, directory: Path, name: str) -> list[Path]:
    """Write `name`.json and `name`.txt, and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    as_json, as_text = directory / f"{name}.json", directory / f"{name}.txt"
    as_json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    with as_text.open("w") as file:
        print_report(report, Console(file=file, width=110))
    return [as_json, as_text]


def _goals_table(report: Report) -> Table:
    table = Table("goal", title="Goals")
    for heading in ("is", "lowest", "highest", "goal", "stretch", ""):
        table.add_column(heading, justify="right")
    for each in report.goals:
        sign = "≥" if each.at_least else "≤"
        verdict = "better than the stretch" if each.stretch_met else "met" if each.met else "NOT MET"
        table.add_row(
            each.name,
            f"{_number(each.value)} {each.unit}".strip(),
            _number(each.lowest),
            _number(each.highest),
            f"{sign} {each.goal:g}",
            f"{each.stretch:g}",
            verdict,
        )
    return table


def _figures_table(report: Report) -> Table:
    table = Table("measure", "figure", title="Figures")
    table.add_column("median", justify="right")
    table.add_column("lowest to highest", justify="right")
    last = ""
    for name, value in report.medians.items():
        group, _, figure = name.partition(".")
        values = [figures[name] for figures in report.rounds if name in figures]
        if group != last and last:
            table.add_section()
        span = f"{_number(min(values))} to {_number(max(values))}"
        table.add_row(group if group != last else "", figure, _number(value), span)
        last = group
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
