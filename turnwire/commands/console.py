"""The console of the commands: running, failing with one line, progress, and text that is safe for a terminal."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import sysconfig
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from turnwire.client import Client
from turnwire.errors import ClientError, NotAllowed, Refused, Unreachable
from turnwire.protocol.errors import ErrorCode

T = TypeVar("T")

INTERRUPTED = 128 + signal.SIGINT
_PLAIN_WIDTH = 100_000
"""The width of output that does not go to a terminal, so that no line wraps."""


def fail(text: str) -> typer.Exit:
    """Print what is wrong to standard error, and return the exception to raise."""
    typer.echo(f"turnwire: {printable(text)}", err=True)
    return typer.Exit(1)


def run(main: Coroutine[None, None, T]) -> T:
    """Run a command to its end. A ClientError becomes one line on standard error, and status 1."""
    try:
        return uvloop.run(main)
    except ClientError as error:
        unknown = isinstance(error, NotAllowed) and error.code is ErrorCode.UNAUTHENTICATED
        hint = "; give a credential with --token or in TURNWIRE_TOKEN" if unknown else ""
        raise fail(f"{error}{hint}") from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def command_here() -> str:
    """Return the shell command that runs this `turnwire` from the current folder: its bare name if the PATH has it."""
    program = Path(sysconfig.get_path("scripts"), "turnwire")
    on_path = shutil.which("turnwire")
    if on_path is not None and Path(on_path).resolve() == program.resolve():
        return "turnwire"
    if not program.exists():
        return shlex.join([sys.executable, "-m", "turnwire"])
    return shlex.quote(os.path.relpath(program) if program.is_relative_to(Path.cwd()) else str(program))


async def check_gateway(client: Client) -> None:
    """Raise a ClientError that says what to do unless a gateway answers and can serve."""
    try:
        await client.check()
    except Unreachable as error:
        raise Unreachable(f"{error}; start a gateway with `turnwire serve`, or name another one with --url") from None
    except NotAllowed:
        raise
    except Refused as error:
        raise Refused(f"there is no Turnwire gateway here ({error}); name one with --url") from None


def output() -> Console:
    """Return standard output: with colors and wrapping on a terminal, as plain unwrapped lines elsewhere."""
    console = Console(highlight=False, markup=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, emoji=False, width=_PLAIN_WIDTH)


def printable(text: str) -> str:
    """Return the text on one line, without the control characters that a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)


def times(count: int, thing: str) -> str:
    """Return a counted noun, such as `1 event` or `10,946 events`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def progress_bar(console: Console, *, transient: bool = False) -> Progress:
    """Make a progress bar with the task's description, a count and the time. It is hidden unless on a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=transient,
        disable=not console.is_terminal,
    )
