"""`turnwire command`: asks the bot of a session to do something, and tells what becomes of it."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Annotated, Any

import typer

from turnwire.commands.gateway_url import DEFAULT_URL, Url

_POLL_SECONDS = 0.2
_FINAL = ("done", "refused", "failed", "expired")


def command(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="The session's id.")],
    name: Annotated[str, typer.Argument(metavar="COMMAND", help="whisper, say, end, or another that the bot takes.")],
    content: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="What to whisper or to say, or a payload as JSON: {…}.")
    ] = None,
    *,
    url: Url = DEFAULT_URL,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who asks.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for its end.")] = 30,
    token: Annotated[
        str | None,
        typer.Option(envvar="TURNWIRE_TOKEN", show_envvar=False, help="Shown to the gateway.  [TURNWIRE_TOKEN]"),
    ] = None,
) -> None:
    """Ask the bot of a live session to do something.

    \b
    Give it a hint that the caller does not hear:
        turnwire command call-17 whisper "Offer 10 %."
    Have it say something, or end the call:
        turnwire command call-17 say "One moment, please."
        turnwire command call-17 end

    Each new state is printed. The status is 1 unless it ends as done.
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
            raise typer.BadParameter(f"the payload is no JSON: {error}") from None
        return dict(payload)
    return {"say" if name == "end" else "text": content}


async def _command(url: str, token: str | None, session: str, asked: dict[str, Any], wait: float) -> str:
    """Its last state."""
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
