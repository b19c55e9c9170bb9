"""`turnwire delete`: erase a session."""

from __future__ import annotations

from typing import Annotated

import typer

from turnwire.commands.shared_options import DEFAULT_URL, Token, Url


def delete(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="The session's id.")],
    *,
    force: Annotated[
        bool,
        typer.Option("--force", help="Erase it even while a publisher is connected, and disconnect the publisher."),
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Erase a session with all its events, for good.

    \b
    A call that has ended:
        turnwire delete call-17
    A call that is still live:
        turnwire delete call-17 --force

    Repeating this is safe, even if there is no such session. Afterwards, the id can be used again.
    """
    from turnwire.commands.console import run  # noqa: PLC0415 -- --help need not wait for it

    run(_delete(url, token, session, force))
    typer.echo(f"Session {session!r} is erased.")


async def _delete(url: str, token: str | None, session: str, force: bool) -> None:
    from turnwire.client import Client  # noqa: PLC0415

    async with Client(url, token=token) as client:
        await client.delete(session, force=force)
