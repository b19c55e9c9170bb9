"""`turnwire dashboard`: print the dashboard's URL, with a token for it."""

from __future__ import annotations

from typing import Annotated

import typer

from turnwire.address import Address
from turnwire.commands.shared_options import DEFAULT_URL, Url


def dashboard(
    *,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="TURNWIRE_TOKEN", show_envvar=False, help="The API key or token to log in with.  [TURNWIRE_TOKEN]"
        ),
    ] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Print a link to the dashboard that logs in by itself.

    \b
    On this machine, without authentication:
        turnwire dashboard
    With a token, which the page removes from the URL at once, and keeps until its tab is closed:
        TURNWIRE_TOKEN=… turnwire dashboard --url https://gateway.example.com

    The link is as good as the token: share it with nobody. Browsers never send the part of a URL after the #.
    """
    if token is not None and not _is_plain(token):
        raise typer.BadParameter("the token has characters that no API key or token can have")
    page = f"{Address(url).shown}/"
    typer.echo(page if token is None else f"{page}#token={token}")


def _is_plain(token: str) -> bool:
    return token.isascii() and bool(token) and all(char.isalnum() or char in "._-" for char in token)
