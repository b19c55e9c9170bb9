"""Passes what an HTTP connection receives on to its parser, a slice at a time."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from turnwire.gateway.turns import SLICE_SECONDS, Share

SMALL: Final = 1024
"""Bytes that need no intake. The parser takes half a millisecond at most: for chunks of one byte, 2 µs each."""
_LARGEST: Final = 32 * 1024
"""The most bytes that are passed on together, however fast the parser is."""
_QUICK_SECONDS: Final = SLICE_SECONDS / 8
"""If the parser took no longer for some bytes, it gets twice as many next."""
_MUCH: Final = 64 * 1024
"""Bytes after which reading a socket continues only in the next pass of the loop. Otherwise, as long as each read fills
the buffer, the loop reads a socket up to 32 times in a pass: up to 8 MiB."""
_SECONDS_A_BYTE: Final = 0.5e-9
"""What a byte costs before it gets here."""
_DEAF_SECONDS: Final = 0.05
"""The pause of a socket whose bytes are dropped."""


class Source(Protocol):
    """The connection that the bytes come from."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def is_held(self) -> bool:
        """Whether the parser takes nothing now, because what it has parsed has not been read."""

    def parse(self, data: bytes) -> bool:
        """Take the next bytes. Return False if they were dropped, as all that follow will be."""

    def hold_reading(self) -> None: ...
    def release_reading(self) -> None: ...


class Intake:
    """What has arrived on a connection and is not passed on yet. All connections have one share of the loop's time.

    A socket hands over up to 256 KiB, which may be 40,000 chunks of a body, and takes a fifth of a second to parse. The
    socket is not read until all of it has been passed on.
    """

    __slots__ = ("_rest", "_share", "_source", "_timer", "waits")

    def __init__(self, source: Source, share: Share) -> None:
        self._source = source
        self._share = share
        self._rest = b""
        self._timer: asyncio.TimerHandle | None = None
        """Set while the connection waits for its turn."""
        self.waits = False
        """Whether what arrives must wait."""

    def take(self, data: bytes) -> None:
        """Pass the data on, now or later."""
        if self.waits:
            self._rest += data
            self._source.hold_reading()
        else:
            self._serve(data)

    def _serve(self, data: bytes) -> None:
        """Pass data on until the slice of time is over or the parser has had enough."""
        clock, at, size, spent = self._share.clock, 0, SMALL, len(data) * _SECONDS_A_BYTE
        heard = True
        while heard and at < len(data) and spent < SLICE_SECONDS and not self._source.is_held:
            began = clock()
            heard = self._source.parse(data[at : at + size])
            took = clock() - began
            at += size
            spent += took
            if took <= _QUICK_SECONDS:
                size = min(2 * size, _LARGEST)
        if not heard:
            self._wait(_DEAF_SECONDS)
            return
        self._rest = data[at:]
        if self._rest or len(data) >= _MUCH:
            self._wait(self._share.delay(spent))

    def _wait(self, seconds: float) -> None:
        self.waits = True
        self._source.hold_reading()
        self._timer = self._source.loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        if self._rest and self._source.is_held:
            return  # `resumed` comes
        data, self._rest, self.waits = self._rest, b"", False
        if data:
            self._serve(data)
        if not self.waits:
            self._source.release_reading()

    def resumed(self) -> None:
        """Go on, because the parser takes data again."""
        if self.waits and self._timer is None:
            self._wait(0.0)

    def stop(self) -> None:
        """Drop what is left, because the connection is gone."""
        self._rest = b""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
