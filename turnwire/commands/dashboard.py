"""`turnwire dashboard`: the dashboard's address, with a token for it."""

from __future__ import annotations

from typing import Annotated

import typer

from turnwire.address import Address


def dashboard(
    *,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="TURNWIRE_TOKEN", show_envvar=False, help="The API key or token to log in with.  [TURNWIRE_TOKEN]"
        ),
    ] = None,
    url: Annotated[
        str, typer.Option(envvar="TURNWIRE_URL", show_envvar=False, help="The gateway.  [TURNWIRE_URL]")
    ] = "http://127.0.0.1:3000",
) -> None:
    """Print a link to the dashboard that logs in by itself.

    \b
    On this machine, without authentication:
        turnwire dashboard
    With a token; the page takes it out of the address at once, and keeps it until its tab is closed:
        TURNWIRE_TOKEN=… turnwire dashboard --url https://gateway.example.com

    The link is as good as the token: give it to nobody. A browser never sends what stands behind the # anywhere.
    """
    if token is not None and not _is_plain(token):
        raise typer.BadParameter("the token has characters that no API key and no token has")
    try:
        page = f"{Address(url).shown}/"
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo(page if token is None else f"{page}#token={token}")


def _is_plain(token: str) -> bool:
    return token.isascii() and bool(token) and all(char.isalnum() or char in "._-" for char in token)
