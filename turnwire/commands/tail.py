"""`turnwire tail`: show one session as a live transcript, or all sessions as a live table."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing

import msgspec
from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from turnwire.client import Client
from turnwire.commands.console import check_gateway, output, printable, run, times
from turnwire.feed import follow_sessions
from turnwire.protocol.codec import JSON
from turnwire.protocol.frame_encoder import one_line
from turnwire.protocol.messages import Event, JsonObject, Session, SessionStatus, SignalPush
from turnwire.protocol.rules import has_ended
from turnwire.subscriber import Subscription, subscribe

REFRESH = 0.2
"""Seconds between two updates of the table."""
MOST_HELD = 1000
"""Maximum number of sessions kept for the table. Those unchanged for longest leave first."""
_CLOCK = slice(11, 23)
"""The time of day in a wire time."""
Line = tuple[Text, Text, Text]
"""(time, speaker, text)"""
_GREY = "bright_black"
_INTERIM = "bright_black italic"
_SPEAKERS = {"user_speech": ("user", "cyan"), "bot_speech": ("bot", "green")}
_SIDE = re.compile(r"(user)|(bot|agent|assistant)", re.IGNORECASE)
_COLORS = {"active": "green", "initiated": "yellow", "completed": "bright_black", "failed": "red"}


def tail_session(url: str, session_id: str, after_seq: int, *, token: str | None, as_json: bool) -> None:
    """Print the events of a session until it has ended."""
    run(_tail_session(url, session_id, after_seq, token, as_json))


def tail_feed(url: str, status: Sequence[SessionStatus], *, token: str | None, as_json: bool) -> None:
    """Show the sessions until interrupted."""
    run(_tail_feed(url, status, token, as_json))


# --- one session -----------------------------------------------------------------------------------------------------


async def _tail_session(url: str, session_id: str, after_seq: int, token: str | None, as_json: bool) -> None:
    async with Client(url, token=token) as client:
        await check_gateway(client)
    console = output()
    if as_json:
        async with aclosing(aiter(subscribe(url, session_id, after_seq, until_ended=True, token=token))) as events:
            async for event in events:
                console.out(one_line(JSON.encode(event)).decode(), highlight=False)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        interim = _Interim(live if console.is_terminal else None)
        subscription = subscribe(url, session_id, after_seq, until_ended=True, token=token, on_signal=interim.take)
        async with aclosing(aiter(subscription)) as events:
            async for event in events:
                interim.drop_replaced(event)
                console.print(_layout(console, [event_line(event)]))
    console.print(_end_line(subscription))


class _Interim:
    """The interim transcripts, in grey under the final ones: the newest signal of each key."""

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self._lines: dict[str, Line] = {}

    def take(self, signal: SignalPush) -> None:
        self._lines.pop(signal.key, None)
        self._lines[signal.key] = _line("", _side(signal.key) or signal.key, _said(signal.payload), _GREY, _INTERIM)
        self._draw()

    def drop_replaced(self, event: Event) -> None:
        """Remove the interim transcripts of the side whose final one this event is."""
        replaced = [key for key in self._lines if event.type != "system" and _side(key) == _side(event.type)]
        for key in replaced:
            del self._lines[key]
        if replaced:
            self._draw()

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(_layout(self._live.console, self._lines.values()), refresh=True)


def event_line(event: Event) -> Line:
    """Return an event as a line of a transcript."""
    clock = event.timestamp[_CLOCK]
    if event.type == "system":
        return _line(clock, "·", _what_happened(event.payload), _GREY, _GREY)
    speaker, color = _SPEAKERS[event.type]
    interim = event.payload.get("final") is False
    line = _line(clock, speaker, _said(event.payload), color, _GREY if interim else "")
    if event.payload.get("interrupted") is True:
        line[-1].append(" —", style="yellow")
    return line


def _line(clock: str, who: str, text: str, who_style: str, text_style: str) -> Line:
    return Text(clock, style=_GREY), Text(printable(who), style=who_style), Text(printable(text), style=text_style)


def _layout(console: Console, lines: Iterable[Line]) -> RenderableType:
    """Return the lines in columns. On a terminal, long texts wrap within their column."""
    grid = Table.grid(padding=(0, 2 if console.is_terminal else 1))
    grid.add_column(width=_CLOCK.stop - _CLOCK.start, no_wrap=True)
    grid.add_column(min_width=4, max_width=20, no_wrap=True)
    grid.add_column()
    for line in lines:
        grid.add_row(*line)
    return grid


def _side(name: str) -> str:
    """Return the side of a signal's key or an event's type: `user`, `bot`, or an empty text."""
    found = _SIDE.match(name)
    return "" if found is None else "user" if found[1] else "bot"


def _said(payload: JsonObject) -> str:
    text = payload.get("text")
    return text if isinstance(text, str) else _compact(payload)


def _what_happened(payload: JsonObject) -> str:
    name = payload.get("event")
    if not isinstance(name, str):
        return _compact(payload)
    rest = {key: value for key, value in payload.items() if key != "event"}
    if isinstance(rest.get("name"), str):
        name = f"{name} {rest.pop('name')}"
    return f"{name} {_compact(rest)}" if rest else name


def _compact(payload: JsonObject) -> str:
    return msgspec.json.encode(payload).decode()


def _end_line(subscription: Subscription) -> Text:
    session = subscription.session
    if session is None:
        return Text()
    why = f" ({session.end_reason})" if session.end_reason else ""
    counted = times(subscription.last_seq, "event")
    return Text(printable(f"{session.status}{why} at {session.ended_at}, {counted}"), style=_COLORS[session.status])


# --- all sessions ----------------------------------------------------------------------------------------------------


async def _tail_feed(url: str, status: Sequence[SessionStatus], token: str | None, as_json: bool) -> None:
    async with Client(url, token=token) as client:
        await check_gateway(client)
    console = output()
    async with aclosing(follow_sessions(url, status, token=token)) as sessions:
        if as_json:
            async for session in sessions:
                console.out(one_line(JSON.encode_value(session)).decode(), highlight=False)
        elif console.is_terminal:
            await _draw_table(console, sessions, status)
        else:
            async for session in sessions:
                console.out(_session_line(session), highlight=False)


def _session_line(session: Session) -> str:
    moment = session.ended_at or session.last_event_at or session.started_at
    counted = times(session.last_seq, "event")
    return printable(f"{moment}  {session.status:9}  {session.language:5}  {session.session_id}  {counted}")


async def _draw_table(console: Console, sessions: AsyncIterator[Session], status: Sequence[SessionStatus]) -> None:
    shown: dict[str, Session] = {}
    with Live(console=console, auto_refresh=False, screen=True) as live:

        async def draw() -> None:
            while True:
                live.update(_table(console, shown), refresh=True)
                await asyncio.sleep(REFRESH)

        drawer = asyncio.create_task(draw())
        try:
            async for session in sessions:
                shown.pop(session.session_id, None)
                if not status or session.status in status:
                    shown[session.session_id] = session
                if len(shown) > MOST_HELD:
                    del shown[next(iter(shown))]
        finally:
            drawer.cancel()
            await asyncio.wait({drawer})


def _table(console: Console, shown: Mapping[str, Session]) -> Table:
    live = sum(not has_ended(session.status) for session in shown.values())
    table = Table(title=f"{times(live, 'live session')}, {len(shown):,} in all; Ctrl-C quits", expand=True, box=None)
    for name, justify in (("started", "left"), ("session", "left"), ("status", "left"), ("language", "left")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("events", justify="right")
    table.add_column("last event", justify="right", no_wrap=True)
    for session in _first(shown.values(), console.height - 3):
        table.add_row(
            session.started_at[_CLOCK],
            Text(printable(session.session_id)),
            Text(session.status, style=_COLORS[session.status]),
            Text(printable(session.language)),
            f"{session.last_seq:,}",
            (session.last_event_at or "")[_CLOCK],
        )
    return table


def _first(sessions: Iterable[Session], count: int) -> list[Session]:
    """Return the newest sessions, live ones before ended ones."""
    ordered = sorted(sessions, key=lambda session: session.started_at, reverse=True)
    ordered.sort(key=lambda session: has_ended(session.status))
    return ordered[: max(1, count)]
