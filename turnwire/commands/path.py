"""`turnwire path`: where a file is that something else loads by its path."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import turnwire


class What(StrEnum):
    PIPECAT = "pipecat"


FILES = {What.PIPECAT: "adapters/pipecat/setup_file.py"}


def path(
    what: Annotated[What, typer.Argument(metavar="WHAT", help="pipecat: the file for PIPECAT_SETUP_FILES.")],
) -> None:
    """Print the path of a file of this installation.

    \b
    Publish all calls of a Pipecat bot, without a line in its code:
        PIPECAT_SETUP_FILES=$(turnwire path pipecat) TURNWIRE_URL=http://localhost:3000 python bot.py
    """
    typer.echo(Path(turnwire.__file__).parent / FILES[what])
