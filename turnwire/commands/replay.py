"""`turnwire replay`: recorded conversations through real publishers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from turnwire.client import Client
from turnwire.commands.console import check_gateway, fail, output, printable, run, times
from turnwire.connecting.link import http_session
from turnwire.errors import ClientError
from turnwire.playback import CallReport, stream
from turnwire.publishing.delivery import Acked
from turnwire.recording import Recording, RecordingError, read_recordings

GIVE_UP_AFTER = 120.0
"""Seconds without a gateway after which a call is given up."""
MOST_SHOWN = 10


class ReplayOptions(Struct, frozen=True, kw_only=True):
    url: str
    speed: float
    concurrency: int
    complete: bool
    interim: bool
    codec: Literal["json", "msgpack"]


def load_calls(file: Path, calls: int | None, prefix: str) -> list[Recording]:
    """The first `calls` of the file, or all, as sessions whose ids begin with `prefix`. Exits when there are none."""
    loaded: list[Recording] = []
    try:
        for recording in read_recordings(file):
            if calls is not None and len(loaded) >= calls:
                break
            recording.session_id = prefix + recording.session_id
            loaded.append(recording)
    except RecordingError as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"cannot read {file}: {error.strerror}") from None
    if not loaded:
        raise fail(f"there are no calls in {file}")
    return loaded


def replay(calls: Sequence[Recording], options: ReplayOptions) -> bool:
    """Stream the calls and print a summary. Whether every event of every call is durable."""
    console = output()
    reports, seconds = run(_replay(calls, options, console))
    console.print(_summary(reports, seconds))
    failed = [report for report in reports if not report.is_whole]
    for report in failed[:MOST_SHOWN]:
        console.print(_failure(report), style="red")
    if len(failed) > MOST_SHOWN:
        console.print(f"and {times(len(failed) - MOST_SHOWN, 'more call')}", style="red")
    return not failed


async def _replay(
    calls: Sequence[Recording], options: ReplayOptions, console: Console
) -> tuple[list[CallReport], float]:
    async with Client(options.url) as client:
        await check_gateway(client)
    loop = asyncio.get_running_loop()
    began = loop.time()
    reports: list[CallReport] = []
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with progress:
        bar = progress.add_task(_calls_done(0, len(calls)), total=sum(len(call.events) for call in calls))

        def on_ack(_: Acked) -> None:
            progress.advance(bar)

        async def work(queue: Iterator[Recording]) -> None:
            for recording in queue:
                reports.append(
                    await stream(
                        options.url,
                        recording,
                        speed=options.speed,
                        complete=options.complete,
                        interim=options.interim,
                        codec=options.codec,
                        give_up_after=GIVE_UP_AFTER,
                        on_ack=on_ack,
                        http=http,
                    )
                )
                progress.update(bar, description=_calls_done(len(reports), len(calls)))

        queue = iter(calls)
        async with http_session() as http, asyncio.TaskGroup() as group:
            for _ in range(min(options.concurrency, len(calls))):
                group.create_task(work(queue))
    return reports, loop.time() - began


def _calls_done(done: int, total: int) -> str:
    return f"{done:,} of {times(total, 'call')}, events"


def _summary(reports: Sequence[CallReport], seconds: float) -> Table:
    latencies = sorted(latency for report in reports for latency in report.latencies)
    acked = sum(len(report.acked) for report in reports)
    rows = [
        ("calls", f"{len(reports):,}"),
        ("events", f"{sum(len(report.recording.events) for report in reports):,}"),
        ("acks", f"{acked:,}"),
        ("duplicates, stored before", f"{sum(report.duplicates for report in reports):,}"),
        ("nacks", f"{sum(len(report.nacks) for report in reports):,}"),
        ("without an answer", f"{sum(report.unanswered for report in reports):,}"),
    ]
    if latencies:
        marks = ", ".join(f"{_percentile(latencies, share) * 1000:.1f}" for share in (0.5, 0.95, 0.99))
        rows.append(("ack latency p50, p95, p99", f"{marks} ms"))
    rows.append(("time", f"{seconds:.1f} s"))
    rows.append(("events a second", f"{acked / seconds:,.0f}" if seconds > 0 else "-"))
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in rows:
        table.add_row(name, value)
    return table


def _percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that is not under `share` of them all."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _failure(report: CallReport) -> str:
    of = f"{len(report.acked)} of {times(len(report.recording.events), 'event')} stored"
    error: ClientError | str | None = report.error
    if report.nacks:
        nack = report.nacks[0]
        error = f"{times(len(report.nacks), 'nack')}, the first for {nack.event_id}: {nack.code.value}: {nack.message}"
    return printable(f"{report.recording.session_id}: {of}: {error}")
