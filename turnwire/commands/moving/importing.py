"""`turnwire import`: sends past calls to a gateway until each is answered, then has it compare them all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from rich.progress import Progress

from turnwire.client import Client
from turnwire.commands.console import check_gateway, output, printable, progress_bar, run, times
from turnwire.commands.moving.line_file import LineFile
from turnwire.commands.moving.old_database import OldDatabase
from turnwire.errors import Unreachable
from turnwire.protocol.past_calls.lines import ImportOutcome
from turnwire.rest.requests import Rest, decoded

GIVE_UP_AFTER = 120.0
"""Seconds without an answer to any line after which the import stops."""
MOST_SHOWN = 20
_LONGEST_PAUSE = 5.0


class Source(Protocol):
    """Where past calls come from, one a line."""

    name: str

    def chunks(self, after: int) -> AsyncIterator[bytes]:
        """Read the lines in pieces of any size, without the first `after` lines. May be called again."""

    async def left_out(self) -> list[str]:
        """Return what cannot be brought in, as texts."""

    async def close(self) -> None: ...


def source_of(place: str) -> Source:
    """Return the source that the command line names. Exits if it cannot be opened."""
    if place.startswith(("mongodb://", "mongodb+srv://")):
        return OldDatabase(place)
    return LineFile.open(Path(place))


def import_calls(url: str, token: str | None, place: str, *, keep_open: bool) -> bool:
    """Import all calls and print a report. Return whether all of them are stored as they were."""
    return run(_import(url, token, place, keep_open=keep_open))


async def _import(url: str, token: str | None, place: str, *, keep_open: bool) -> bool:
    async with Client(url, token=token) as client:
        await check_gateway(client)
    source = source_of(place)
    rest = Rest(url, token, None, timeout=60.0)
    console = output()
    try:
        with progress_bar(console) as progress:
            sent = await _Pass(rest, source, progress, keep_open=keep_open, verify=False).run()
            checked = await _Pass(rest, source, progress, keep_open=keep_open, verify=True).run(sent.bad)
        left_out = await source.left_out()
    finally:
        await rest.close()
        await source.close()
    for text in _report(source.name, sent, checked, left_out):
        console.print(printable(text))
    return not sent.bad and not checked.bad


class _Pass:
    """All lines of the source, sent once. After trouble it goes on behind the last line that was answered."""

    def __init__(self, rest: Rest, source: Source, progress: Progress, *, keep_open: bool, verify: bool) -> None:
        self.results: Counter[str] = Counter()
        self.events = 0
        self.bad: set[int] = set()
        """The lines that are not stored as they are given."""
        self.shown: list[str] = []
        self._rest = rest
        self._source = source
        self._progress = progress
        self._bar = progress.add_task("calls compared" if verify else "calls imported", total=None)
        query = [("keepOpen", str(keep_open).lower()), ("verify", str(verify).lower())]
        self._url = rest.address.http("import", query=query)
        self._good = ("unchanged",) if verify else ("imported", "unchanged")
        self._answered = 0
        """The last line that has been answered."""

    async def run(self, known_bad: set[int] | None = None) -> _Pass:
        """Send all lines; what becomes of those that are `known_bad` is left out. Raises Unreachable."""
        loop = asyncio.get_running_loop()
        pause, heard = 0.1, loop.time()
        while True:
            before = self._answered
            try:
                await self._send(known_bad or set())
                return self
            except Unreachable as error:
                if self._answered > before:
                    pause, heard = 0.1, loop.time()
                if loop.time() - heard > GIVE_UP_AFTER:
                    where = f"after line {self._answered} of {self._source.name}"
                    raise Unreachable(f"{error}; stopped {where}: run it again to go on") from None
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    async def _send(self, known_bad: set[int]) -> None:
        first = self._answered
        chunks = _large(self._source.chunks(first))
        async with aclosing(self._rest.exchange(self._url, chunks)) as answers:
            async for line in answers:
                outcome = decoded(line, ImportOutcome, self._url)
                if outcome.result == "failed":
                    raise Unreachable(f"the gateway cannot store now: {outcome.message}")
                self._answered = first + outcome.line
                self._progress.advance(self._bar)
                if self._answered not in known_bad:
                    self._take(outcome)

    def _take(self, outcome: ImportOutcome) -> None:
        self.results[outcome.result] += 1
        self.events += outcome.events
        if outcome.result not in self._good:
            self.bad.add(self._answered)
            if len(self.shown) < MOST_SHOWN:
                text = f": {outcome.message}" if outcome.message else ""
                self.shown.append(f"line {self._answered}, session {outcome.session_id}: {outcome.result}{text}")


async def _large(chunks: AsyncIterator[bytes], size: int = 64 * 1024) -> AsyncIterator[bytes]:
    """Join small pieces, each of which would cost a frame of its own."""
    joined = bytearray()
    async for chunk in chunks:
        joined += chunk
        if len(joined) >= size:
            yield bytes(joined)
            joined.clear()
    if joined:
        yield bytes(joined)


def _report(name: str, sent: _Pass, checked: _Pass, left_out: list[str]) -> list[str]:
    counted: Callable[[str], str] = lambda result: f"{sent.results[result]:,} {result}"  # noqa: E731
    lines = [f"{name}: {', '.join(map(counted, ('imported', 'unchanged', 'different', 'refused')))}"]
    lines.append(
        f"compared: {times(checked.results['unchanged'], 'call')} with {times(checked.events, 'event')} "
        f"{'are' if checked.results['unchanged'] != 1 else 'is'} stored as given"
    )
    shown, bad = [*sent.shown, *checked.shown], len(sent.bad) + len(checked.bad)
    lines += shown[:MOST_SHOWN]
    if bad > len(shown[:MOST_SHOWN]):
        lines.append(f"and {times(bad - len(shown[:MOST_SHOWN]), 'more call')}")
    lines += [f"skipped, as there is no such session: {text}" for text in left_out[:MOST_SHOWN]]
    if len(left_out) > MOST_SHOWN:
        lines.append(f"skipped too: events of {times(len(left_out) - MOST_SHOWN, 'more session')}")
    return lines
