"""The arguments and options of `turnwire import` and `turnwire export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from turnwire.commands.shared_options import DEFAULT_URL, Token, Url

if TYPE_CHECKING:
    from turnwire.rest.session_filter import SessionFilter


def import_(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A file of NDJSON or NDJSON.gz, -, or mongodb://…/DATABASE.")
    ],
    *,
    keep_open: Annotated[
        bool, typer.Option("--keep-open", help="Leave calls open that never ended, instead of ending them as failed.")
    ] = False,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Do not go on where an earlier import was stopped.")
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Bring past calls into a gateway, as they were.

    \b
    From the database of a NestJS conversation service, read only:
        turnwire import mongodb://db1,db2/conversation-service
    From a file that `turnwire export` has written:
        turnwire import calls.ndjson.gz

    The gateway ends calls that never ended as failed, with the reason imported. After the last call, it compares all of
    them. The command can be stopped, or killed, and run again at any time. It then continues where it stopped, leaves
    what is stored as it is, and reports what differs. Exits with status 1 if a call is not stored as it was. Needs the
    scope admin.
    """
    from turnwire.commands.moving.importing import import_calls  # noqa: PLC0415 -- --help need not wait for it

    if not import_calls(url, token, source, keep_open=keep_open, from_start=from_start):
        raise typer.Exit(1)


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; - is standard output.")] = Path("-"),
    *,
    session: Annotated[list[str] | None, typer.Option(help="Only this session; may be repeated.")] = None,
    started_after: Annotated[str | None, typer.Option(metavar="TIME", help="Only sessions that began later.")] = None,
    started_before: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only sessions that began earlier.")
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Write sessions with all their events to a file.

    Each line is a session, in the form that `turnwire import` reads.

    \b
    Everything, packed:
        turnwire export | gzip >calls.ndjson.gz
    The calls of a day:
        turnwire export day.ndjson --started-after 2025-12-20T23:59:59.999Z --started-before 2025-12-22T00:00:00Z

    A session that has not ended is written as it is at that moment.
    """
    from turnwire.commands.console import times  # noqa: PLC0415 -- --help need not wait for these
    from turnwire.commands.moving.exporting import export as write  # noqa: PLC0415

    between: SessionFilter = {"started_after": started_after, "started_before": started_before, "order": "asc"}
    count = write(url, token, file, session or [], between)
    typer.echo(f"{times(count, 'session')} written.", err=True)
