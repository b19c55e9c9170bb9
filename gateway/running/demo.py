"""`turnwire demo`: a gateway with scripted calls, to look at and to try things out."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import msgspec
import typer

from turnwire.commands.console import command_here, fail, printable, run, times
from turnwire.connecting.link import http_session
from turnwire.gateway.config import Config
from turnwire.gateway.running.serve import ServeError, serve
from turnwire.gateway.telemetry.logs import configure_logging
from turnwire.playback import CallReport, stream
from turnwire.recording import Recording, read_recordings

BETWEEN_STARTS = 4.0
"""Seconds between the starts of the scripted calls."""
BETWEEN_ROUNDS = 3.0
"""Seconds between the end of a call and its repetition."""


def demo_calls() -> list[Recording]:
    """Return the scripted calls."""
    with as_file(files("turnwire") / "data" / "demo.ndjson") as path:
        return list(read_recordings(path))


def demo(config: Config, data_dir: Path | None, *, once: bool) -> bool:
    """Serve and stream the calls until interrupted; with `once`, stream each call once, at full speed.

    The database is always an embedded one, so that scripted calls never mix with real ones. Without `data_dir`, it is
    in a temporary folder. Return whether every event was stored. Raises ServeError and ConfigError.
    """
    configure_logging("warning", config.log_format)
    config = config.model_copy(update={"mongodb_uri": None})
    if data_dir is not None:
        return run(_demo(config, once))
    with tempfile.TemporaryDirectory(prefix="turnwire-demo-", ignore_cleanup_errors=True) as folder:
        return run(_demo(config.model_copy(update={"data_dir": Path(folder)}), once))


async def _demo(config: Config, once: bool) -> bool:
    """Run the gateway, which handles SIGINT and SIGTERM itself, and the calls, which end with it."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    streams: asyncio.Task[bool] | None = None

    def leave() -> None:
        """End the calls while the gateway still acks their events: later, each would report that it is cut off."""
        typer.echo("\nThe demo ends.")
        if streams is not None:
            streams.cancel()

    gateway = asyncio.create_task(serve(config, ready.set_result, on_signal=leave), name="gateway")
    try:
        waited: list[asyncio.Future[Any]] = [gateway, ready]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            streams = asyncio.create_task(_stream_calls(ready.result(), once), name="calls")
            await asyncio.wait({gateway, streams}, return_when=asyncio.FIRST_COMPLETED)
            if streams.cancelled():
                await asyncio.wait({gateway})
    finally:
        for task in (streams, gateway):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait({task})
    if not gateway.cancelled():
        gateway.result()  # raises if the gateway could not start
    if streams is None or streams.cancelled():
        return True
    return streams.result()


async def _stream_calls(url: str, once: bool) -> bool:
    calls = demo_calls()
    if once:
        reports = await _stream_once(url, calls)
        stored = sum(len(report.acked) for report in reports)
        total = sum(len(call.events) for call in calls)
        typer.echo(f"{times(len(calls), 'call')}, {times(total, 'event')}: {stored:,} stored")
        return all(report.is_whole for report in reports)
    first = [_renamed(call) for call in calls]
    typer.echo(_introduction(url, len(calls), first[0].session_id))
    async with asyncio.TaskGroup() as group:
        for index, call in enumerate(first):
            group.create_task(_repeat(url, call, calls[index], index * BETWEEN_STARTS))
    return True


async def _stream_once(url: str, calls: Sequence[Recording]) -> list[CallReport]:
    async with http_session() as http:
        return await asyncio.gather(*(stream(url, _renamed(call), speed=0, http=http) for call in calls))


async def _repeat(url: str, call: Recording, script: Recording, delay: float) -> None:
    """Stream the call, then its script again and again, each time as a new session."""
    await asyncio.sleep(delay)
    while True:
        began = datetime.now(UTC).strftime("%H:%M:%S")
        typer.echo(f"  {began}  {call.session_id}  {call.metadata.get('topic', '')}")
        report = await stream(url, call, speed=1, interim=True)
        if report.error is not None:
            typer.echo(f"  {printable(f'{call.session_id}: {report.error}')}", err=True)
        await asyncio.sleep(BETWEEN_ROUNDS)
        call = _renamed(script)


def _renamed(call: Recording) -> Recording:
    stamp = datetime.now(UTC).strftime("%m%d-%H%M%S")
    return msgspec.structs.replace(call, session_id=f"{call.session_id}-{stamp}")


def _introduction(url: str, calls: int, session_id: str) -> str:
    turnwire = command_here()
    at = "" if url == "http://127.0.0.1:3000" else f" --url {url}"
    return f"""{url}/

The dashboard shows {times(calls, "scripted call")}, which repeat until you press Ctrl-C.

Open
  {url}/         the dashboard: every call, live
  {url}/docs     the API reference

Run in another terminal
  {turnwire} tail{at}
  {turnwire} tail {session_id}{at}
  curl '{url}/sessions?status=active'
  curl '{url}/sessions/{session_id}/events'
  curl -N -H 'Accept: text/event-stream' '{url}/sessions/{session_id}/events'
  curl -X POST '{url}/sessions' -H 'Content-Type: application/json' -d '{{"sessionId": "mine", "language": "en"}}'

Calls as they begin
"""


def run_demo(config: Config, data_dir: Path | None, *, once: bool) -> bool:
    """Run `demo`. If the gateway cannot run, print the reason as one line and exit with status 1."""
    try:
        return demo(config, data_dir, once=once)
    except ServeError as error:
        raise fail(str(error)) from None
