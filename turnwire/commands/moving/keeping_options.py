"""The arguments and options of `turnwire backup` and `turnwire restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from turnwire.commands.shared_options import DEFAULT_URL, Token, Url


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it is gzipped NDJSON.")],
    *,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a backup that was stopped.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Write all sessions to a file, while the gateway runs.

    \b
    Every night, each to its own file:
        turnwire backup /backup/turnwire-$(date +%F).ndjson.gz
    Continue a backup that was stopped, such as by Ctrl-C:
        turnwire backup /backup/turnwire.ndjson.gz --resume

    The backup holds everything that was acked before it began. It is written to FILE.part, which replaces FILE once it
    is complete. After trouble with the gateway, it continues by itself. Needs the scope admin.
    """
    from turnwire.commands.moving.backing_up import backup as write  # noqa: PLC0415 -- --help need not wait for it

    write(url, token, file, resume=resume)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file that `turnwire backup` has written.")],
    *,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Bring everything in a backup back into a gateway.

    \b
    Into a new gateway, before bots and dashboards use it:
        turnwire restore /backup/turnwire-2025-12-21.ndjson.gz --url http://127.0.0.1:3001

    A file that is damaged or cut short is refused before anything is changed. The command adds what is missing, leaves
    what is stored as it is, and reports what differs. If it is stopped, run it again. Events keep their ids, seqs and
    times, so an event that a bot sends again is a duplicate. Exits with status 1 if something of the backup is not
    stored. Needs the scope admin.
    """
    from turnwire.commands.moving.restoring import restore as bring  # noqa: PLC0415 -- --help need not wait for it

    if not bring(url, token, file):
        raise typer.Exit(1)
