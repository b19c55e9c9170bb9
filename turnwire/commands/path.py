"""`turnwire path`: print the path of a file that a framework loads."""

from __future__ import annotations

from typing import Annotated

import typer

from turnwire.adapters.paths import PATHS


def path(
    framework: Annotated[str, typer.Argument(metavar="FRAMEWORK", help="pipecat, for PIPECAT_SETUP_FILES.")],
) -> None:
    """Print the path of a file of this installation.

    \b
    Publish all calls of a Pipecat bot, without a line in its code:
        PIPECAT_SETUP_FILES=$(turnwire path pipecat) TURNWIRE_URL=http://localhost:3000 python bot.py
    """
    if framework not in PATHS:
        raise typer.BadParameter(f"there is no file for {framework!r}, only for {', '.join(PATHS)}")
    typer.echo(PATHS[framework])
