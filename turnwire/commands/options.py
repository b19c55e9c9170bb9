"""The commands that use a running gateway, as its clients do: replay, tail, verify."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from turnwire.commands.command import command
from turnwire.commands.dashboard import dashboard
from turnwire.commands.delete import delete
from turnwire.commands.gateway_url import DEFAULT_URL, Url
from turnwire.commands.key import key
from turnwire.commands.path import path

Prefix = Annotated[str, typer.Option(metavar="TEXT", help="Put before every session id of the file.")]


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
    for each in (replay, tail, verify, command, delete, resend, key, dashboard, reindex, path):
        app.command()(each)


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Recorded conversations, NDJSON or NDJSON.gz.")],
    *,
    speed: Annotated[
        float, typer.Option(min=0, help="How many times faster than it was; 0 is as fast as possible.")
    ] = 10,
    calls: Annotated[int | None, typer.Option(min=1, help="Only so many calls of the file.  [all]")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=10_000, help="How many calls go on at a time.")] = 50,
    complete: Annotated[bool, typer.Option(help="End each session after its last event, or leave it open.")] = True,
    interim: Annotated[bool, typer.Option("--interim", help="Send what was heard on the way as signals.")] = False,
    prefix: Prefix = "",
    encoding: Annotated[Encoding, typer.Option(help="How frames are encoded.")] = Encoding.JSON,
    url: Url = DEFAULT_URL,
) -> None:
    """Stream recorded conversations through publishers, each event at its time.

    \b
    Ten times as fast as the calls were, fifty at a time:
        turnwire replay calls.ndjson.gz
    The first 20 at their own pace, all at once:
        turnwire replay calls.ndjson.gz --calls 20 --concurrency 20 --speed 1
    As fast as the gateway takes them:
        turnwire replay calls.ndjson.gz --speed 0
    The same calls once more, as new sessions:
        turnwire replay calls.ndjson.gz --prefix second-

    A line of the file is a call: {"sessionId", "language", "metadata", "events": [{"eventId", "type", "payload",
    "offsetMs"}]}. Events get the time of their streaming. Running it again adds nothing: what is stored is answered
    as a duplicate, and a replay that was stopped goes on. It lives through restarts of the gateway. The status is 1
    when an event was not acked.
    """
    from turnwire.commands.replay import ReplayOptions, load_calls, replay  # noqa: PLC0415 -- --help need not wait

    options = ReplayOptions(
        url=url,
        speed=speed,
        concurrency=concurrency,
        complete=complete,
        interim=interim,
        codec=encoding.value,
    )
    if not replay(load_calls(file, calls, prefix), options):
        raise typer.Exit(1)


def tail(
    session: Annotated[str | None, typer.Argument(metavar="SESSION", help="A session id; all, if left out.")] = None,
    *,
    after_seq: Annotated[int, typer.Option(min=0, help="Start behind this seq.")] = 0,
    status: Annotated[list[Status] | None, typer.Option(help="Only sessions of this status; may be repeated.")] = None,
    json: Annotated[bool, typer.Option("--json", help="A line of JSON for each event or change.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Follow one session as a transcript, until it ends, or all sessions, until Ctrl-C.

    \b
    Who is on the line:
        turnwire tail --status active
    What they say, from the first word:
        turnwire tail call-17
    Only what comes after event 120, for a program:
        turnwire tail call-17 --after-seq 120 --json | jq .payload.text
    """
    from turnwire.commands import tail as command_tail  # noqa: PLC0415 -- --help need not wait for it

    if session is not None:
        command_tail.tail_session(url, session, after_seq, as_json=json)
    else:
        command_tail.tail_feed(url, [item.value for item in status or []], as_json=json)


def verify(
    session: Annotated[str | None, typer.Argument(metavar="SESSION", help="A session id.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All sessions.")] = False,
    expect: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recorded conversations the sessions must hold, in order.")
    ] = None,
    calls: Annotated[int | None, typer.Option(min=1, help="Only so many calls of the file.  [all]")] = None,
    prefix: Prefix = "",
    url: Url = DEFAULT_URL,
) -> None:
    """Read the logs and say whether they are whole: no event missing, none doubled, times sane.

    \b
    One session:
        turnwire verify call-17
    All there are:
        turnwire verify --all
    What a replay has streamed, event by event against its file:
        turnwire verify --expect calls.ndjson.gz

    The status is 1 when there is a fault. A timestamp before the one of the event before is a note: clocks do that.
    """
    from turnwire.commands.console import fail  # noqa: PLC0415 -- --help need not wait for these
    from turnwire.commands.replay import load_calls  # noqa: PLC0415
    from turnwire.commands.verify import verify  # noqa: PLC0415

    if (session is not None) + every > 1 or (session is None and not every and expect is None):
        raise typer.BadParameter("give a SESSION, or --all, or --expect FILE")
    expected = [] if expect is None else load_calls(expect, calls, prefix)
    if session is not None:
        if expect is not None and session not in {call.session_id for call in expected}:
            raise fail(f"there is no session {session!r} in {expect}")
        expected = [call for call in expected if call.session_id == session]
    ids = [session] if session is not None else None if every else [call.session_id for call in expected]
    if not verify(url, ids, expected):
        raise typer.Exit(1)


def resend(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of spools, or one spool.")],
    *,
    token: Annotated[
        str | None,
        typer.Option(envvar="TURNWIRE_TOKEN", show_envvar=False, help="Shown to the gateway.  [TURNWIRE_TOKEN]"),
    ] = None,
) -> None:
    """Send what calls that never came back have left in their spools, each to the gateway it was meant for.

    \b
    All that the bots of this machine have left:
        turnwire resend /var/lib/bot/spools

    What is sent is removed; what is already stored is not stored again. A spool that a bot is using is left alone. The
    status is 1 when something could not be stored.
    """
    from turnwire.commands.resend import resend  # noqa: PLC0415 -- --help need not wait for it

    if not resend(path, token):
        raise typer.Exit(1)


def reindex(
    *,
    data_dir: Annotated[
        Path, typer.Option(envvar="TURNWIRE_DATA_DIR", show_envvar=False, help="Folder of the gateway's data.")
    ] = Path("turnwire-data"),
) -> None:
    """Have the search of a gateway made anew from its log.

    \b
    While the gateway runs it begins within a second; else it begins with its next start:
        turnwire reindex --data-dir ./turnwire-data

    Nothing is lost by it. Until it is done the search looks at ids and metadata only.
    """
    from turnwire.commands.console import fail  # noqa: PLC0415 -- --help need not wait for these
    from turnwire.gateway.running.reindex import reindex as ask_for_it  # noqa: PLC0415

    fault = ask_for_it(data_dir)
    if fault is not None:
        raise fail(fault)
    typer.echo("The search will be made anew.")
