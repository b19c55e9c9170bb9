"""Reads lines of NDJSON from a stream in bounded memory: the events of a long line are handed on as they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import msgspec
from msgspec import Raw, Struct

from turnwire.gateway.importing.elements import Elements, find_events
from turnwire.protocol.errors import InvalidJson, InvalidMessage, TurnwireError
from turnwire.protocol.salvage import UNDECODABLE

BATCH = 100
"""Maximum number of events that are handed on at a time."""
_BATCH_BYTES = 64 * 1024
"""Their approximate maximum size in bytes."""
_PIECE = 16 * 1024
"""Bytes of a long line that are scanned before others get a turn: one millisecond, or three if they are full of
brackets.
"""
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_EVENTS = msgspec.json.Decoder(list[Raw] | None)
_MOST_AFTER_EVENTS = 64
"""Maximum number of bytes in a long line after its events: a bracket, and white space."""


class Line(Struct, frozen=True, eq=False):
    """One line. `head` is a JSON object of all its fields except `events`."""

    number: int
    """The line's number in the stream, starting at 1. Blank lines count."""
    head: bytes
    events: AsyncIterator[list[bytes]]
    """The events, each as JSON text, in batches. Raises InvalidJson or InvalidMessage for a line that is broken."""
    whole: bool
    """Whether all events have arrived."""


class BadLine(Struct, frozen=True):
    """A line that cannot be read."""

    number: int
    error: TurnwireError


class Lines:
    """The lines of a stream. Owned by the task that calls `next`. The events of a line must be read before the next
    call."""

    def __init__(self, read: Callable[[], Awaitable[bytes]], *, most_whole: int, most_element: int) -> None:
        """`read` returns the next bytes of the stream, or none at its end.

        A line of up to `most_whole` bytes is held whole. One event may have `most_element` bytes.
        """
        self._read = read
        self._most_whole = most_whole
        self._most_element = most_element
        self._buffer = b""
        self._number = 0
        self._unfinished = False
        """Whether the buffer begins in the middle of a line."""

    @property
    def has_whole_line(self) -> bool:
        """Whether `next` can return without waiting for the stream."""
        return not self._unfinished and b"\n" in self._buffer

    async def next(self) -> Line | BadLine | None:
        """Return the next line that is not blank; None at the end of the stream."""
        await self._skip_rest()
        while True:
            text, ended, rest = self._buffer.partition(b"\n")
            if not ended and len(text) <= self._most_whole and await self._fill():
                continue
            if not text and not ended:
                return None
            self._number += 1
            if not ended and len(text) > self._most_whole:
                return self._long_line()
            self._buffer = rest
            if text.strip():
                return self._whole_line(text)

    async def _fill(self) -> bool:
        more = await self._read()
        self._buffer += more
        return bool(more)

    async def _skip_rest(self) -> None:
        while self._unfinished:
            _, ended, self._buffer = self._buffer.partition(b"\n")
            self._unfinished = not ended and await self._fill()

    def _whole_line(self, text: bytes) -> Line | BadLine:
        try:
            fields = _FIELDS.decode(text)
            events = _EVENTS.decode(fields.pop("events", b"null")) or []
        except UNDECODABLE as error:
            return BadLine(self._number, InvalidJson(f"the line is not a session: {error}"))
        head = msgspec.json.encode(fields)
        return Line(self._number, head, _in_batches([bytes(each) for each in events]), True)

    def _long_line(self) -> Line | BadLine:
        self._unfinished = True
        found = find_events(self._buffer[: self._most_whole])
        if found is None:
            fault = f"a line of more than {self._most_whole} bytes must have events after its other fields"
            return BadLine(self._number, InvalidMessage(fault))
        key, first = found
        head = self._buffer[:key].rstrip().removesuffix(b",") + b"}"
        self._buffer = self._buffer[first:]
        return Line(self._number, head, self._long_events(), False)

    async def _long_events(self) -> AsyncIterator[list[bytes]]:
        elements, text = Elements(self._most_element), b""
        while True:
            found, text = elements.take(text + self._buffer[:_PIECE])
            self._buffer = self._buffer[_PIECE:]
            for batch in _slices(found):
                yield batch
            if elements.closed:
                break
            await asyncio.sleep(0)
            if not self._buffer and not await self._fill():
                raise InvalidJson("the stream ends within the line")
        self._buffer = text + self._buffer
        await self._check_end()

    async def _check_end(self) -> None:
        """Raise InvalidMessage unless the long line ends with its events."""
        while b"\n" not in self._buffer and len(self._buffer) <= _MOST_AFTER_EVENTS and await self._fill():
            pass
        text, _, rest = self._buffer.partition(b"\n")
        if text.strip() != b"}":
            raise InvalidMessage(f"events must be the last field of a line of more than {self._most_whole} bytes")
        self._buffer, self._unfinished = rest, False


async def _in_batches(events: list[bytes]) -> AsyncIterator[list[bytes]]:
    for batch in _slices(events):
        yield batch


def _slices(events: list[bytes]) -> Iterator[list[bytes]]:
    """Divide events into batches."""
    first = size = 0
    for at, event in enumerate(events):
        if at - first == BATCH or (size > 0 and size + len(event) > _BATCH_BYTES):
            yield events[first:at]
            first, size = at, 0
        size += len(event)
    if first < len(events):
        yield events[first:]
