"""How far the replay of a webhook has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from turnwire.commands.console import INTERRUPTED, fail, output, printable, times
from turnwire.protocol.times import format_time, parse_time

_LOOK_SECONDS: Final = 0.5
_STORED_BEHIND: Final = timedelta(seconds=150)
"""How far the stored state of a webhook may be behind what has been told, if another gateway serves it."""


def follow(begun: dict[str, Any], look: Callable[[], dict[str, Any]]) -> None:
    """Show the progress until everything that happened before now has been told. `begun`, `look`: the webhook, as the
    replay began and as it is now. Exits with status 1 if it is disabled."""
    first, end = parse_time(begun["toldUntil"]), datetime.now(UTC) - _STORED_BEHIND
    told, webhook = first, begun
    with _bar() as progress, _interrupted():
        bar = progress.add_task("", total=max(0.0, (end - first).total_seconds()))
        while told < end:
            if webhook["state"] == "disabled":
                raise fail(f"the webhook is disabled: {webhook['disabledReason']}")
            progress.update(bar, completed=(told - first).total_seconds(), description=_said(told, webhook))
            time.sleep(_LOOK_SECONDS)
            webhook = look()
            told = max(told, parse_time(webhook["toldUntil"]))
    if webhook["failing"]:
        failing = f"{times(webhook['failing'], 'session')} failing, tried again later"
        typer.echo(printable(f"{failing}; last error: {webhook['lastError']}"))


@contextmanager
def _interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("The gateway goes on with it.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _said(told: datetime, webhook: dict[str, Any]) -> str:
    return f"calls that began before {format_time(told)[:10]}; {times(webhook['waiting'], 'session')} waiting"


def _bar() -> Progress:
    """Make a progress bar over time. It is hidden unless on a terminal."""
    console = output()
    percent = TextColumn("{task.percentage:>3.0f} %")
    columns = TextColumn("{task.description}"), BarColumn(), percent, TimeElapsedColumn()
    return Progress(*columns, console=console, disable=not console.is_terminal)
