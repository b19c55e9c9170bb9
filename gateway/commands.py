"""The commands that use a running gateway, as its clients do: replay, tail, verify, demo."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
