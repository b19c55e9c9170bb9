"""The options that commands share: the gateway, and the token for it."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_URL = "http://127.0.0.1:3000"


def _checked_url(url: str) -> str:
    from turnwire.address import Address  # noqa: PLC0415 -- --help need not wait for it

    try:
        return str(Address(url))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _checked_token(token: str | None) -> str | None:
    from turnwire.connecting.tokens import check_token  # noqa: PLC0415 -- --help need not wait for it

    try:
        return None if token is None else check_token(token)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Url = Annotated[
    str,
    typer.Option(envvar="TURNWIRE_URL", show_envvar=False, callback=_checked_url, help="The gateway.  [TURNWIRE_URL]"),
]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="TURNWIRE_TOKEN",
        show_envvar=False,
        callback=_checked_token,
        help="The API key or token for the gateway.  [TURNWIRE_TOKEN]",
    ),
]
