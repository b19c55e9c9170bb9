"""`turnwire import`: sends past calls to a gateway, then has it compare them all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.progress import Progress

from turnwire.client import Client
from turnwire.commands.console import check_gateway, output, printable, progress_bar, run, times
from turnwire.commands.moving.import_progress import ImportProgress
from turnwire.commands.moving.line_file import LineFile
from turnwire.commands.moving.old_database import OldDatabase
from turnwire.commands.moving.sending import MOST_SHOWN, CallSource, Pass, shown
from turnwire.rest.requests import Rest


def source_of(place: str) -> OldDatabase | LineFile:
    """Return the source that the command line names. Exits if the source cannot be opened."""
    if place.startswith(("mongodb://", "mongodb+srv://")):
        return OldDatabase(place)
    return LineFile.open(Path(place))


def import_calls(url: str, token: str | None, place: str, *, keep_open: bool, from_start: bool = False) -> bool:
    """Import all calls and print a report. Return whether all of them are stored as they were.

    Continues where an earlier command stopped, unless `from_start` is set.
    """
    return run(_import(url, token, place, keep_open=keep_open, from_start=from_start))


async def _import(url: str, token: str | None, place: str, *, keep_open: bool, from_start: bool) -> bool:
    async with Client(url, token=token) as client:
        await check_gateway(client)
    source = source_of(place)
    rest = Rest(url, token, None, timeout=60.0)
    console = output()
    kept = ImportProgress.of(str(rest.address), source.identity, keep_open=keep_open)
    if from_start:
        kept.forget()
    first = kept.begun.line
    if first:
        console.print(printable(f"{source.name}: continues after line {first:,}, where it was stopped"))
    try:
        if isinstance(source, OldDatabase):
            await source.check()
        with progress_bar(console) as progress:
            sent, checked = await _send_and_compare(rest, source, progress, kept, keep_open=keep_open)
            if any(line <= first for line in checked.bad):  # these lines have changed since, at one side or the other
                kept.forget()
                sent, checked = await _send_and_compare(rest, source, progress, kept, keep_open=keep_open)
        kept.forget()
        left_out = await source.left_out()
    finally:
        await rest.close()
        await source.close()
    for text in _report(source.name, sent, checked, left_out):
        console.print(printable(text))
    return not sent.bad and not checked.bad


async def _send_and_compare(
    rest: Rest, source: CallSource, progress: Progress, kept: ImportProgress, *, keep_open: bool
) -> tuple[Pass, Pass]:
    sent = await Pass(rest, source, progress, keep_open=keep_open, verify=False, kept=kept).run()
    checked = await Pass(rest, source, progress, keep_open=keep_open, verify=True).run(sent.bad)
    return sent, checked


def _report(name: str, sent: Pass, checked: Pass, left_out: list[str]) -> list[str]:
    counted: Callable[[str], str] = lambda result: f"{sent.results[result]:,} {result}"  # noqa: E731
    lines = [f"{name}: {', '.join(map(counted, ('imported', 'unchanged', 'different', 'refused')))}"]
    lines.append(
        f"compared: {times(checked.results['unchanged'], 'call')} with {times(checked.events, 'event')} "
        f"{'are' if checked.results['unchanged'] != 1 else 'is'} stored as given"
    )
    lines += shown(sent, checked)
    lines += [f"skipped, because there is no such session: {text}" for text in left_out[:MOST_SHOWN]]
    if len(left_out) > MOST_SHOWN:
        lines.append(f"skipped too: events of {times(len(left_out) - MOST_SHOWN, 'more session')}")
    return lines
