"""`turnwire webhook`: endpoints of other services that a gateway tells about sessions."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from turnwire.commands.shared_options import DEFAULT_URL, Token, Url

Webhook = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id.")]
_EVENTS = "Types of messages, separated by commas: session.completed, error, tool.*, or * for all."
_TIMEOUT_SECONDS = 150.0
"""Seconds. A test waits for the endpoint."""
_SECRET = "The secret, shown only this once:"

webhook = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Tell other services about sessions, by signed HTTP requests.

    \b
    To tell a service of the end of each call:
        turnwire webhook add https://example.com/turnwire
    To see the state of all webhooks:
        turnwire webhook list
    """,
)


@webhook.command()
def add(
    address: Annotated[str, typer.Argument(metavar="URL", help="The URL for messages, beginning with https://.")],
    *,
    events: Annotated[str, typer.Option(metavar="TYPES", help=_EVENTS)] = "session.completed,session.failed",
    webhook_id: Annotated[str | None, typer.Option("--id", help="Its id.  [chosen by the gateway]")] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Add a webhook, and print its id and, this once, its secret.

    \b
    To tell a service of the end of each call:
        turnwire webhook add https://example.com/turnwire
    To tell it of failures as they happen:
        turnwire webhook add https://example.com/alarm --events session.failed,error,tool.failed
    """
    wanted = [each.strip() for each in events.split(",") if each.strip()]
    body = {"url": address, "events": wanted, "webhookId": webhook_id, "description": description}
    added = _ask(url, token, "POST", body=body)
    if "secret" not in added:
        typer.echo(f"There is a webhook {added['webhookId']} already; it stays as it is.")
        return
    typer.echo(f"{_SECRET}\n\n    {added['secret']}\n", err=True)
    typer.echo(added["webhookId"])


@webhook.command("list")
def list_(*, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """List the webhooks and their state.

    \b
    All webhooks:
        turnwire webhook list
    """
    webhooks = _ask(url, token, "GET")["webhooks"]
    if not webhooks:
        typer.echo("There are no webhooks.")
    for each in webhooks:
        _print(each)


@webhook.command("test")
def try_(webhook_id: Webhook, *, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """Send one test message. Exits with status 1 if the endpoint does not accept it.

    \b
    After adding one:
        turnwire webhook test wh_3f8a2c61b9d04e5f8a7b
    """
    from turnwire.commands.console import fail  # noqa: PLC0415 -- --help need not wait for it

    trial = _ask(url, token, "POST", webhook_id, "test")
    if not trial["taken"]:
        raise fail(f"the endpoint did not accept the message: {trial['error']}")
    typer.echo(f"The endpoint accepted the message in {trial['tookMs']} ms.")


@webhook.command()
def replay(
    webhook_id: Webhook,
    *,
    since: Annotated[str, typer.Option(metavar="TIME", help="ISO-8601 with an offset, such as 2025-12-21T10:30:00Z.")],
    wait: Annotated[bool, typer.Option(help="Whether to wait until all of it has been sent.")] = True,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Send everything since a time again.

    The webhook is enabled if it is disabled.

    \b
    After an outage of the receiver:
        turnwire webhook replay wh_3f8a2c61b9d04e5f8a7b --since 2025-12-21T10:30:00Z

    Shows how far it has come, and exits with status 1 if the webhook is disabled meanwhile. The gateway does the work:
    Ctrl-C ends only the waiting. Messages keep their ids, by which the receiver recognizes messages that it has
    already. To skip what is waiting, give the present time.
    """
    begun = _ask(url, token, "POST", webhook_id, "replay", body={"since": since})
    if wait:
        from turnwire.commands.webhook_replay import follow  # noqa: PLC0415 -- --help need not wait for it

        follow(begun, lambda: _ask(url, token, "GET", webhook_id))
    typer.echo(f"Everything since {since} {'has been' if wait else 'is'} sent again.")


@webhook.command()
def rotate(
    webhook_id: Webhook,
    *,
    overlap: Annotated[
        int, typer.Option(min=0, max=604_800, help="Seconds for which the older secret signs as well.")
    ] = 86_400,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Make a new secret, and print it, this once.

    \b
    With a day to give the new secret to the receiver:
        turnwire webhook rotate wh_3f8a2c61b9d04e5f8a7b
    At once, because others know the older one:
        turnwire webhook rotate wh_3f8a2c61b9d04e5f8a7b --overlap 0
    """
    rotated = _ask(url, token, "POST", webhook_id, "rotate", body={"overlapSeconds": overlap})
    typer.echo(f"{_SECRET}\n\n    {rotated['secret']}\n", err=True)


@webhook.command()
def enable(webhook_id: Webhook, *, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """Start a disabled webhook again, where it stopped.

    \b
    Once its receiver has been repaired:
        turnwire webhook enable wh_3f8a2c61b9d04e5f8a7b
    """
    _print(_ask(url, token, "PATCH", webhook_id, body={"enabled": True}))


@webhook.command()
def disable(webhook_id: Webhook, *, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """Stop sending until the webhook is enabled again.

    \b
    While its receiver moves:
        turnwire webhook disable wh_3f8a2c61b9d04e5f8a7b
    """
    _print(_ask(url, token, "PATCH", webhook_id, body={"enabled": False}))


@webhook.command()
def remove(webhook_id: Webhook, *, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """Remove a webhook for good. It is safe to repeat this.

    \b
    By its id:
        turnwire webhook remove wh_3f8a2c61b9d04e5f8a7b
    """
    _ask(url, token, "DELETE", webhook_id)
    typer.echo(f"There is no webhook {webhook_id} any more.")


def _print(one: dict[str, Any]) -> None:
    from turnwire.commands.console import printable  # noqa: PLC0415 -- --help need not wait for it

    typer.echo(f"{one['webhookId']}  {one['state']}  {printable(one['url'])}")
    typer.echo(f"  events: {', '.join(one['events'])}")
    waiting = f"  sessions waiting: {one['waiting']}, failing: {one['failing']}"
    typer.echo(waiting + ("" if one["deliveredAt"] is None else f"; last delivery {one['deliveredAt']}"))
    if one["disabledReason"] is not None:
        typer.echo(f"  disabled at {one['disabledAt']}: {printable(one['disabledReason'])}")
    if one["lastError"] is not None:
        typer.echo(f"  last error: {printable(one['lastError'])}")


def _ask(url: str, token: str | None, method: str, *path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    from turnwire.commands.console import run  # noqa: PLC0415 -- --help need not wait for it

    return run(_request(url, token, method, path, body))


async def _request(
    url: str, token: str | None, method: str, path: tuple[str, ...], body: dict[str, Any] | None
) -> dict[str, Any]:
    from turnwire.rest.requests import Rest  # noqa: PLC0415

    rest = Rest(url, token, None, _TIMEOUT_SECONDS)
    try:
        target = rest.address.http("webhooks", *path)
        if method == "DELETE":
            await rest.nothing(method, target)
            return {}
        given = None if body is None else {name: value for name, value in body.items() if value is not None}
        return await rest.json(method, target, dict[str, Any], given)
    finally:
        await rest.close()
