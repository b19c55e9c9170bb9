"""`turnwire key`: make an API key. Needs no gateway."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from turnwire.protocol.codec import JSON
from turnwire.protocol.rights import KeyLine, check_patterns, new_key, parse_key, parse_scope, secret_digest
from turnwire.protocol.times import format_time


def key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The name of the key, such as bot or backend.")],
    *,
    scope: Annotated[str, typer.Option(help="The scopes it grants, separated by spaces.")],
    sessions: Annotated[
        str, typer.Option(help="The sessions it covers: ids, or prefixes ending in *, separated by commas; * for all.")
    ] = "",
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Days until it expires.  [never]")] = None,
) -> None:
    """Make an API key.

    The command prints the key, this once, and the line for the gateway's key file.

    \b
    For a bot whose calls are named call-…; the line goes into the file, the key to the bot:
        turnwire key bot --scope "session:create session:publish" --sessions "call-*" >>keys.ndjson
        chmod 600 keys.ndjson
    For Prometheus, for a year:
        turnwire key prometheus --scope metrics --days 365 >>keys.ndjson
    For a backend that makes tokens for browsers:
        turnwire key backend --scope "session:read session:list token:mint" --sessions "*" >>keys.ndjson

    Scopes: session:create session:publish session:complete session:read session:list session:command session:delete
    token:mint metrics admin. The key goes to standard error, the line to standard output. The gateway notices changes
    of the file TURNWIRE_API_KEYS_FILE within seconds. The file holds only a digest: replace a lost key with a new one.
    """
    patterns = [pattern.strip() for pattern in sessions.split(",") if pattern.strip()]
    try:
        parse_scope(scope)
        check_patterns(patterns)
        text = new_key(key_id)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not scope.split():
        raise typer.BadParameter("--scope needs at least one scope")
    typer.echo(f"The key, shown only this once:\n\n    {text}\n", err=True)
    typer.echo(_line(text, " ".join(scope.split()), patterns, days))


def _line(text: str, scope: str, sessions: list[str], days: int | None) -> str:
    key = parse_key(text)
    assert key is not None, "it was just made"
    expires_at = None if days is None else format_time(datetime.now(UTC) + timedelta(days=days))
    line = KeyLine(key.id, secret_digest(key.secret), scope, sessions, expires_at)
    return JSON.encode_value(line).decode()
