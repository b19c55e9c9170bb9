"""Sends the lines of past calls to a gateway until each of them is answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Protocol

from rich.progress import Progress

from turnwire.commands.console import times
from turnwire.commands.moving.import_progress import ImportProgress, Reached
from turnwire.errors import Unreachable
from turnwire.protocol.past_calls.lines import ImportOutcome
from turnwire.rest.requests import Rest, decoded

GIVE_UP_AFTER = 120.0
"""Seconds without any answer after which the command stops."""
MOST_SHOWN = 20
_LONGEST_PAUSE = 5.0
_LONGEST_JOINING = 1.0
"""Seconds for which what has been read waits for more, so that one frame holds both."""


class CallSource(Protocol):
    """Where past calls come from, one on each line."""

    name: str

    def chunks(self, after: int) -> AsyncIterator[bytes]:
        """Read the lines in pieces of any size, skipping the first `after` lines. It may be called again."""

    async def left_out(self) -> list[str]:
        """Return texts about what cannot be imported."""

    async def close(self) -> None: ...


class Pass:
    """One pass over all lines of the source. After trouble, it continues after the last answered line."""

    def __init__(
        self,
        rest: Rest,
        source: CallSource,
        progress: Progress,
        *,
        verify: bool,
        keep_open: bool = False,
        restore: bool = False,
        total: int | None = None,
        kept: ImportProgress | None = None,
    ) -> None:
        """`total`: the number of calls, if known. `kept`: where to start, and where to record the progress."""
        self._kept = kept
        begun = Reached() if kept is None else kept.begun
        self.results: Counter[str] = Counter(begun.results)
        self.events = begun.events
        self.bad = set(begun.bad)
        """The lines that are not stored as they were given."""
        self.shown = list(begun.shown)
        self._rest = rest
        self._source = source
        self._progress = progress
        done = "restored" if restore else "imported"
        self._bar = progress.add_task(f"calls {'compared' if verify else done}", total=total, completed=begun.line)
        given = {"keepOpen": keep_open, "verify": verify, "restore": restore}
        query = [(name, "true") for name, value in given.items() if value]
        self._url = rest.address.http("import", query=query)
        self._good = ("unchanged", "ahead") if verify else ("imported", "unchanged", "ahead")
        self._answered = begun.line
        """The number of the last line that has been answered."""

    async def run(self, known_bad: set[int] | None = None) -> Pass:
        """Send all lines. Report nothing about those that are `known_bad`. Raises Unreachable."""
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
                    raise Unreachable(f"{error}; stopped {where}: run it again to continue") from None
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    async def _send(self, known_bad: set[int]) -> None:
        first = self._answered
        read = _Reading(self._source.chunks(first))
        try:
            async with asyncio.timeout(None) as read.exchange:
                await self._exchange(first, _large(read.chunks()), known_bad)
        except (Unreachable, TimeoutError):
            if read.fault is not None:
                raise read.fault from None
            raise

    async def _exchange(self, first: int, chunks: AsyncIterator[bytes], known_bad: set[int]) -> None:
        async with aclosing(self._rest.exchange(self._url, chunks)) as answers:
            async for line in answers:
                outcome = decoded(line, ImportOutcome, self._url)
                if outcome.result == "failed":
                    raise Unreachable(f"the gateway cannot store now: {outcome.message}")
                self._answered = first + outcome.line
                self._progress.advance(self._bar)
                if self._answered not in known_bad:
                    self._take(outcome)
                if self._kept is not None:
                    self._kept.reached(self._reached())

    def _reached(self) -> Reached:
        return Reached(self._answered, dict(self.results), self.events, sorted(self.bad), self.shown)

    def _take(self, outcome: ImportOutcome) -> None:
        self.results[outcome.result] += 1
        self.events += outcome.events
        if outcome.result not in self._good:
            self.bad.add(self._answered)
            if len(self.shown) < MOST_SHOWN:
                text = f": {outcome.message}" if outcome.message else ""
                whose = "" if outcome.session_id is None else f", session {outcome.session_id}"
                self.shown.append(f"line {self._answered}{whose}: {outcome.result}{text}")


class _Reading:
    """The reading of a source. Its fault ends the exchange: the gateway would wait for the rest of the request, and its
    answers for the gateway."""

    exchange: asyncio.Timeout

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.fault: Exception | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                yield chunk
        except Exception as fault:
            self.fault = fault
            self.exchange.reschedule(0)
            raise


async def _large(chunks: AsyncIterator[bytes], size: int = 64 * 1024) -> AsyncIterator[bytes]:
    """Join small pieces, because each piece costs a frame.

    None is held back for long: the gateway disconnects a client that sends nothing.
    """
    clock = asyncio.get_running_loop().time
    joined, since = bytearray(), clock()
    async for chunk in chunks:
        joined += chunk
        if len(joined) >= size or clock() - since >= _LONGEST_JOINING:
            yield bytes(joined)
            joined.clear()
            since = clock()
    if joined:
        yield bytes(joined)


def shown(sent: Pass, checked: Pass) -> list[str]:
    """Return texts about the calls that are not stored as they were given."""
    lines, bad = [*sent.shown, *checked.shown][:MOST_SHOWN], len(sent.bad) + len(checked.bad)
    return lines if bad <= len(lines) else [*lines, f"and {times(bad - len(lines), 'more call')}"]
