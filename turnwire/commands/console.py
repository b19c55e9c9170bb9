"""How the commands talk to people: running, failing with one line, and text that cannot harm a terminal."""

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

from turnwire.client import Client
from turnwire.errors import ClientError, NotAllowed, Refused, Unreachable

T = TypeVar("T")

INTERRUPTED = 128 + signal.SIGINT
_PLAIN_WIDTH = 100_000
"""Of lines that are not for a terminal: they are never wrapped."""


def fail(text: str) -> typer.Exit:
    """Say on standard error what is wrong; the exception to raise."""
    typer.echo(f"turnwire: {printable(text)}", err=True)
    return typer.Exit(1)


def run(main: Coroutine[None, None, T]) -> T:
    """Run a command to its end. What the gateway refuses, or its absence, is one line and status 1."""
    try:
        return uvloop.run(main)
    except ClientError as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def command_here() -> str:
    """What runs this `turnwire` when it is typed in the current folder: its name alone only where the PATH has it."""
    program = Path(sysconfig.get_path("scripts"), "turnwire")
    on_path = shutil.which("turnwire")
    if on_path is not None and Path(on_path).resolve() == program.resolve():
        return "turnwire"
    if not program.exists():
        return shlex.join([sys.executable, "-m", "turnwire"])
    return shlex.quote(os.path.relpath(program) if program.is_relative_to(Path.cwd()) else str(program))


async def check_gateway(client: Client) -> None:
    """Raises ClientError, saying what to do, when there is no gateway that serves."""
    try:
        await client.check()
    except Unreachable as error:
        raise Unreachable(f"{error}; start a gateway with `turnwire serve`, or name another with --url") from None
    except NotAllowed:
        raise
    except Refused as error:
        raise Refused(f"there is no Turnwire gateway here ({error}); name one with --url") from None


def output() -> Console:
    """Standard output: with colours and widths on a terminal, whole plain lines elsewhere."""
    console = Console(highlight=False, markup=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, emoji=False, width=_PLAIN_WIDTH)


def printable(text: str) -> str:
    """The text on one line, and without the control characters that would drive a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def times(count: int, thing: str) -> str:
    """As in `1 event` and `10,946 events`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
