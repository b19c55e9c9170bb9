"""`turnwire command`: send a command to the bot of a session, and print each state that the command reaches."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Annotated, Any

import typer

from turnwire.commands.shared_options import DEFAULT_URL, Token, Url

_POLL_SECONDS = 0.2
_FINAL = ("done", "refused", "failed", "expired")


def command(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="The session's id.")],
    name: Annotated[str, typer.Argument(metavar="COMMAND", help="whisper, say, end, or another that the bot accepts.")],
    content: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="The text to whisper or say, or a payload as JSON: {…}.")
    ] = None,
    *,
    url: Url = DEFAULT_URL,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Name of whoever gives the command.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the outcome.")] = 30,
    token: Token = None,
) -> None:
    """Send a command to the bot of a live session.

    \b
    Give it a hint that the caller does not hear:
        turnwire command call-17 whisper "Offer 10 %."
    Have it say something, or end the call:
        turnwire command call-17 say "One moment, please."
        turnwire command call-17 end

    Prints each state that the command reaches. Exits with status 1 unless the last one is done.
    """
    from turnwire.commands.console import run  # noqa: PLC0415 -- --help need not wait for it

    body = {"command": name, "payload": _payload(name, content), "by": by}
    if run(_command(url, token, session, body, wait)) != "done":
        raise typer.Exit(1)


def _payload(name: str, content: str | None) -> dict[str, Any]:
    if content is None:
        return {}
    if content.lstrip().startswith("{"):
        try:
            payload = json.loads(content)
        except ValueError as error:
            raise typer.BadParameter(f"the payload is not valid JSON: {error}") from None
        return dict(payload)
    return {"say" if name == "end" else "text": content}


async def _command(url: str, token: str | None, session: str, asked: dict[str, Any], wait: float) -> str:
    """Send the command, and return its last state."""
    from turnwire.client import Client  # noqa: PLC0415

    command_id, shown = str(uuid.uuid4()), ""
    end = asyncio.get_running_loop().time() + wait
    async with Client(url, token=token) as client:
        while True:
            state = await client.command(session, **asked, command_id=command_id)
            if state.state != shown:
                shown = state.state
                typer.echo(shown if state.message is None else f"{shown}: {state.message}")
            if shown in _FINAL or asyncio.get_running_loop().time() >= end:
                return shown
            await asyncio.sleep(_POLL_SECONDS)
