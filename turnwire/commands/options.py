"""The arguments, options and help texts of the commands. Each command imports its code only when it runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from turnwire.commands.command import command
from turnwire.commands.conformance import conformance
from turnwire.commands.dashboard import dashboard
from turnwire.commands.delete import delete
from turnwire.commands.key import key
from turnwire.commands.moving.keeping_options import backup, restore
from turnwire.commands.moving.options import export, import_
from turnwire.commands.path import path
from turnwire.commands.shared_options import DEFAULT_URL, Token, Url
from turnwire.commands.size import size
from turnwire.commands.webhook import webhook

Prefix = Annotated[str, typer.Option(metavar="TEXT", help="A prefix for every session id of the file.")]


class Encoding(StrEnum):
    JSON = "json"
    MSGPACK = "msgpack"


class Status(StrEnum):
    INITIATED = "initiated"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for each in (replay, tail, verify, command, delete, resend, key, dashboard, reindex, path, size, conformance):
        app.command()(each)
    app.command("import")(import_)
    app.command()(export)
    app.add_typer(webhook, name="webhook")
    app.command()(backup)
    app.command()(restore)


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Recorded conversations, NDJSON or NDJSON.gz.")],
    *,
    speed: Annotated[
        float, typer.Option(min=0, help="How many times faster than recorded; 0 is as fast as possible.")
    ] = 10,
    calls: Annotated[int | None, typer.Option(min=1, help="The number of calls to use of the file.  [all]")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=10_000, help="The number of concurrent calls.")] = 50,
    complete: Annotated[bool, typer.Option(help="End each session after its last event, or leave it open.")] = True,
    interim: Annotated[bool, typer.Option("--interim", help="Send interim transcripts as signals.")] = False,
    prefix: Prefix = "",
    encoding: Annotated[Encoding, typer.Option(help="The encoding of frames.")] = Encoding.JSON,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Stream recorded conversations to a gateway.

    Each event is sent at its recorded time.

    \b
    Ten times as fast as recorded, fifty calls at a time:
        turnwire replay calls.ndjson.gz
    The first 20 at their own pace, all at once:
        turnwire replay calls.ndjson.gz --calls 20 --concurrency 20 --speed 1
    As fast as the gateway accepts them:
        turnwire replay calls.ndjson.gz --speed 0
    The same calls once more, as new sessions:
        turnwire replay calls.ndjson.gz --prefix second-

    A line of the file is a call: {"sessionId", "language", "metadata", "events": [{"eventId", "type", "payload",
    "offsetMs"}]}. Events get the time of their streaming. Running it again adds nothing: a stored event is answered as
    a duplicate, and a replay that was stopped continues. It survives restarts of the gateway. Exits with status 1 if
    an event was not acked.
    """
    from turnwire.commands.replay import ReplayOptions, load_calls, replay  # noqa: PLC0415 -- --help need not wait

    options = ReplayOptions(
        url=url,
        speed=speed,
        concurrency=concurrency,
        complete=complete,
        interim=interim,
        codec=encoding.value,
        token=token,
    )
    if not replay(load_calls(file, calls, prefix), options):
        raise typer.Exit(1)


def tail(
    session: Annotated[str | None, typer.Argument(metavar="SESSION", help="A session id.  [all]")] = None,
    *,
    after_seq: Annotated[int, typer.Option(min=0, help="Start after this seq.")] = 0,
    status: Annotated[list[Status] | None, typer.Option(help="Only sessions of this status; may be repeated.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each event or change.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Follow one session, or all sessions.

    One session is shown as a transcript, until it ends; all sessions are shown as a table, until Ctrl-C.

    \b
    See who is on the line:
        turnwire tail --status active
    See what they say, from the first word:
        turnwire tail call-17
    Pass only what comes after event 120 to a program:
        turnwire tail call-17 --after-seq 120 --json | jq .payload.text
    """
    from turnwire.commands import tail as command_tail  # noqa: PLC0415 -- --help need not wait for it

    if session is not None:
        command_tail.tail_session(url, session, after_seq, token=token, as_json=json)
    else:
        command_tail.tail_feed(url, [item.value for item in status or []], token=token, as_json=json)


def verify(
    session: Annotated[str | None, typer.Argument(metavar="SESSION", help="A session id.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Verify all sessions.")] = False,
    archived: Annotated[bool, typer.Option("--archived", help="Verify what is archived of all sessions.")] = False,
    expect: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recorded conversations that the sessions must hold, in order.")
    ] = None,
    calls: Annotated[int | None, typer.Option(min=1, help="The number of calls to use of the file.  [all]")] = None,
    prefix: Prefix = "",
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Read logs and report whether they are whole.

    In a whole log, no event is missing or doubled, and the times are plausible.

    \b
    One session:
        turnwire verify call-17
    All sessions:
        turnwire verify --all
    What a replay has streamed, event by event against its file:
        turnwire verify --expect calls.ndjson.gz
    What retention has archived, byte by byte, with TURNWIRE_ARCHIVE_URL as the gateways have it:
        turnwire verify --archived

    Exits with status 1 if there is a fault. A timestamp earlier than that of the previous event is only noted, because
    clocks may go back.
    """
    from turnwire.commands.console import fail  # noqa: PLC0415 -- --help need not wait for these
    from turnwire.commands.replay import load_calls  # noqa: PLC0415
    from turnwire.commands.verify import verify  # noqa: PLC0415

    if archived:
        if session is not None or every or expect is not None:
            raise typer.BadParameter("--archived cannot be combined with a SESSION, --all or --expect")
        _verify_archived(url, token)
        return
    if (session is not None) + every > 1 or (session is None and not every and expect is None):
        raise typer.BadParameter("give a SESSION, or --all, or --expect FILE, or --archived")
    expected = [] if expect is None else load_calls(expect, calls, prefix)
    if session is not None:
        if expect is not None and session not in {call.session_id for call in expected}:
            raise fail(f"there is no session {session!r} in {expect}")
        expected = [call for call in expected if call.session_id == session]
    ids = [session] if session is not None else None if every else [call.session_id for call in expected]
    if not verify(url, ids, expected, token):
        raise typer.Exit(1)


def _verify_archived(url: str, token: str | None) -> None:
    from turnwire.commands.console import fail  # noqa: PLC0415 -- --help need not wait for these
    from turnwire.commands.verify_archive import verify_archived  # noqa: PLC0415
    from turnwire.gateway.config import ConfigError, load_config  # noqa: PLC0415 -- these need the extra `archive`
    from turnwire.gateway.keeping.archive_check import archive_check  # noqa: PLC0415

    try:
        check = archive_check(load_config())
    except ConfigError as error:
        raise fail(f"wrong setting: {error}") from None
    if not verify_archived(url, check, token):
        raise typer.Exit(1)


def resend(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of spools, or one spool.")],
    *,
    token: Token = None,
) -> None:
    """Send the events that killed bots left in their spools.

    Each event goes to the gateway for which it was meant.

    \b
    Everything that the bots of this machine have left:
        turnwire resend /var/lib/bot/spools

    Sent events are removed, and stored ones are not stored again. A spool that a bot is using is left alone. Exits with
    status 1 if an event could not be stored.
    """
    from turnwire.commands.resend import resend  # noqa: PLC0415 -- --help need not wait for it

    if not resend(path, token):
        raise typer.Exit(1)


def reindex(
    *,
    data_dir: Annotated[
        Path, typer.Option(envvar="TURNWIRE_DATA_DIR", show_envvar=False, help="The folder of the gateway's data.")
    ] = Path("turnwire-data"),
) -> None:
    """Have a gateway rebuild its search index from the log.

    \b
    A running gateway begins within a second, another one at its next start:
        turnwire reindex --data-dir ./turnwire-data

    Nothing is lost. Until it is done, searches cover ids and metadata only.
    """
    from turnwire.commands.console import fail  # noqa: PLC0415 -- --help need not wait for these
    from turnwire.gateway.running.reindex import reindex as ask_for_it  # noqa: PLC0415

    fault = ask_for_it(data_dir)
    if fault is not None:
        raise fail(fault)
    typer.echo("The search index will be rebuilt.")
