"""The command line of the bench: `make bench`, or `python -m bench --help`."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from msgspec import structs
from rich.console import Console

from bench.measures import Measures
from bench.meter import Figures
from bench.processes import BenchError, Processes
from bench.report import make_report, print_report, save_report
from bench.scale import FULL, SHORT
from turnwire.commands.console import progress_bar

RESULTS = Path(__file__).parent / "results"

app = typer.Typer(rich_markup_mode=None, add_completion=False)


class Measure(StrEnum):
    INSERT = "insert"
    INGEST = "ingest"
    PACED = "paced"
    LIVE = "live"
    FANOUT = "fanout"
    IDLE = "idle"
    HISTORY = "history"
    REST = "rest"
    LIFECYCLE = "lifecycle"
    REPLAY = "replay"
    ACROSS = "across"
    WORKERS = "workers"
    BOT = "bot"
    STALL = "stall"
    STORM = "storm"
    ACCESS = "access"


@app.command()
def bench(
    measure: Annotated[list[Measure] | None, typer.Argument(help="What to measure.  [all]")] = None,
    *,
    rounds: Annotated[
        int | None, typer.Option(min=1, max=20, help="Number of rounds; medians are reported.  [3]")
    ] = None,
    calls: Annotated[int | None, typer.Option(min=1, help="Concurrent calls in the measure `live`.  [5000]")] = None,
    short: Annotated[bool, typer.Option("--short", help="Run briefly, to check that everything works.")] = False,
    save: Annotated[str | None, typer.Option(metavar="NAME", help="Write results/NAME.json and .txt.")] = None,
    results: Annotated[Path, typer.Option(metavar="DIR", help="The folder that --save writes to.")] = RESULTS,
    replay: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Recorded calls, NDJSON or NDJSON.gz, to replay.")
    ] = None,
    mongodb_uri: Annotated[str | None, typer.Option(help="A MongoDB to use instead of the embedded database.")] = None,
    embedded_command: Annotated[
        str | None, typer.Option(metavar="CMD", help="Another server to run as the embedded database.")
    ] = None,
    database_pid: Annotated[
        int | None, typer.Option(help="Its process id, if it runs on this machine, to count its CPU time.")
    ] = None,
) -> None:
    """Measure the gateway next to the floors: the cost of the same work without the gateway."""
    console = Console()
    scale = SHORT if short else FULL
    if rounds is not None:
        scale = structs.replace(scale, rounds=rounds)
    if calls is not None:
        scale = structs.replace(scale, live_calls=calls)
    processes = Processes(mongodb_uri, database_pid, embedded_command=embedded_command, share=short)
    measures = Measures(processes, scale, replay and replay.absolute())
    names = [each.value for each in measure or Measure]
    found: list[Figures] = []
    failed = False
    try:
        failed = asyncio.run(_run(measures, names, scale.rounds, found, console))
    except KeyboardInterrupt:
        console.print("stopped; the report covers what was measured so far", style="red")
        failed = True
    database = "MongoDB" if mongodb_uri is not None else f"embedded ({embedded_command or 'SecantusDB'})"
    report = make_report([figures for figures in found if figures], database, judged=not short)
    print_report(report, console)
    if save is not None:
        for path in save_report(report, results, save):
            console.print(f"written: {path}", highlight=False)
    if failed:
        raise typer.Exit(1)


async def _run(measures: Measures, names: list[str], rounds: int, found: list[Figures], console: Console) -> bool:
    """Measure round by round, so that compared figures are measured close together. Return whether a measure failed."""
    failed = False
    with progress_bar(console, transient=True) as progress:
        task = progress.add_task("", total=rounds * len(names))
        try:
            for number in range(1, rounds + 1):
                found.append({})
                for name in names:
                    progress.update(task, description=f"round {number}: {name}".ljust(24))
                    try:
                        found[-1] |= await measures.named()[name]()
                    except BenchError as error:
                        progress.console.print(str(error), style="red", markup=False)
                        failed = True
                    progress.advance(task)
        finally:
            await measures.close()
    return failed
