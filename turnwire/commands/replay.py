"""`turnwire replay`: stream recorded conversations through publishers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import aiohttp
from msgspec import Struct
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from turnwire.client import Client
from turnwire.commands.console import check_gateway, fail, output, printable, progress_bar, run, times
from turnwire.connecting.link import http_session
from turnwire.errors import ClientError
from turnwire.playback import CallReport, stream
from turnwire.protocol.figures import percentile
from turnwire.publishing.delivery import Acked
from turnwire.recording import Recording, RecordingError, read_recordings

GIVE_UP_AFTER = 120.0
"""Seconds without a gateway after which a call is given up."""
MOST_SHOWN = 10
"""Maximum number of failed calls that are listed."""


class ReplayOptions(Struct, frozen=True, kw_only=True):
    """The options of a replay, as given on the command line."""

    url: str
    speed: float
    concurrency: int
    complete: bool
    interim: bool
    codec: Literal["json", "msgpack"]
    token: str | None = None


def load_calls(file: Path, calls: int | None, prefix: str) -> list[Recording]:
    """Read the first `calls` of the file, or all, and put `prefix` before their session ids. Exit if there are none."""
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
    """Stream the calls and print a summary. Return whether every event of every call is durable."""
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
    async with Client(options.url, token=options.token) as client:
        await check_gateway(client)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with progress_bar(console) as progress:
        reports = await _Replay(calls, options, progress).run()
    return reports, loop.time() - began


class _Replay:
    """The streaming of calls, several at a time, shown on a progress bar."""

    def __init__(self, calls: Sequence[Recording], options: ReplayOptions, progress: Progress) -> None:
        self._calls = calls
        self._options = options
        self._reports: list[CallReport] = []
        self._progress = progress
        self._bar = progress.add_task(self._calls_done, total=sum(len(call.events) for call in calls))

    async def run(self) -> list[CallReport]:
        """Stream all calls, and return their reports in the order in which the calls finished."""
        queue = iter(self._calls)
        async with http_session() as http, asyncio.TaskGroup() as group:
            for _ in range(min(self._options.concurrency, len(self._calls))):
                group.create_task(self._stream_each(queue, http))
        return self._reports

    async def _stream_each(self, queue: Iterator[Recording], http: aiohttp.ClientSession) -> None:
        for recording in queue:
            self._reports.append(await self._stream(recording, http))
            self._progress.update(self._bar, description=self._calls_done)

    async def _stream(self, recording: Recording, http: aiohttp.ClientSession) -> CallReport:
        return await stream(
            self._options.url,
            recording,
            speed=self._options.speed,
            complete=self._options.complete,
            interim=self._options.interim,
            codec=self._options.codec,
            token=self._options.token,
            give_up_after=GIVE_UP_AFTER,
            on_ack=self._count_ack,
            http=http,
        )

    def _count_ack(self, _: Acked) -> None:
        self._progress.advance(self._bar)

    @property
    def _calls_done(self) -> str:
        return f"{len(self._reports):,} of {times(len(self._calls), 'call')}, events"


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
        marks = ", ".join(f"{(percentile(latencies, share) or 0.0) * 1000:.1f}" for share in (0.5, 0.95, 0.99))
        rows.append(("ack latency p50, p95, p99", f"{marks} ms"))
    rows.append(("time", f"{seconds:.1f} s"))
    rows.append(("events per second", f"{acked / seconds:,.0f}" if seconds > 0 else "-"))
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in rows:
        table.add_row(name, value)
    return table


def _failure(report: CallReport) -> str:
    of = f"{len(report.acked)} of {times(len(report.recording.events), 'event')} stored"
    error: ClientError | str | None = report.error
    if report.nacks:
        nack = report.nacks[0]
        error = f"{times(len(report.nacks), 'nack')}, the first for {nack.event_id}: {nack.code.value}: {nack.message}"
    return printable(f"{report.recording.session_id}: {of}: {error}")
