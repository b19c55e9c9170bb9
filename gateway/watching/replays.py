"""What watchers who catch up are sent, read and encoded once for all who need the same.

After a restart, all watchers of a session come back within moments, and miss the same events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from turnwire.gateway.watching.encoded_batch import EncodedBatch
from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.event_log import EventLog
from turnwire.store.sessions import SessionRecord
from turnwire.store.waiting import shared

KEPT_SECONDS: Final = 1.0
"""Seconds for which a window is kept for watchers who come later."""
MOST_KEPT: Final = 100
"""The most windows that are kept."""
LARGEST_KEPT: Final = 64 * 1024
"""The most bytes of a window's frames that are kept."""

Frames = Sequence[tuple[bytes, int]]
"""Frames of consecutive events, each with the seq of its last event."""
_Place = tuple[str, int | None, int]
"""sessionId, life, and the seq of the first event."""


class _Window(Struct, eq=False):
    reading: asyncio.Task[EncodedBatch]
    last: int
    as_of: int
    """The log's `troubles` when the reading began."""


class Replays:
    """Reads windows of logs, and keeps small ones for a moment. Watchers who ask for the same one share it."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._windows: dict[_Place, _Window] = {}

    async def frames(
        self, record: SessionRecord, first: int, last: int, encode: Callable[[EncodedBatch], Frames]
    ) -> Frames:
        """Return what `encode` makes of the session's events from `first` on, perhaps not all up to `last`. All of
        them must be known to be durable.

        Raises StorageUnavailable.
        """
        place = (record.session_id, record.life, first)
        window = self._windows.get(place)
        if window is None or not self._serves(window, first, last):
            window = self._read(place, last)
        frames = encode(await shared(window.reading))
        if sum(len(frame) for frame, _ in frames) > LARGEST_KEPT:
            self._drop(place, window)
        return frames

    def _serves(self, window: _Window, first: int, last: int) -> bool:
        """Return whether the window has at least half of the events, so that a watcher needs few windows to catch
        up."""
        return window.as_of == self._log.troubles and 2 * (window.last - first + 1) >= last - first + 1

    def _read(self, place: _Place, last: int) -> _Window:
        """Read a window in a separate task, so that a watcher who leaves does not cancel it for others."""
        loop = asyncio.get_running_loop()
        window = _Window(loop.create_task(self._events(place, last)), last, self._log.troubles)
        self._windows.pop(place, None)
        if len(self._windows) >= MOST_KEPT:
            del self._windows[next(iter(self._windows))]
        self._windows[place] = window

        def done(reading: asyncio.Task[EncodedBatch]) -> None:
            failed = reading.cancelled() or reading.exception() is not None
            loop.call_later(0 if failed else KEPT_SECONDS, self._drop, place, window)

        window.reading.add_done_callback(done)
        return window

    async def _events(self, place: _Place, last: int) -> EncodedBatch:
        session_id, life, first = place
        events = await self._log.read(session_id, first, last, life)
        if not events or events[0].seq != first:
            raise StorageUnavailable(f"events from seq={first} to seq={last} cannot be read")
        return EncodedBatch(events)

    def _drop(self, place: _Place, window: _Window) -> None:
        if self._windows.get(place) is window:
            del self._windows[place]

    def forget(self, session_id: str) -> None:
        """Keep nothing of this session, because events of it are no longer in its log."""
        for place in [place for place in self._windows if place[0] == session_id]:
            del self._windows[place]

    async def stop(self) -> None:
        """End all reading."""
        readings = [window.reading for window in self._windows.values()]
        for reading in readings:
            reading.cancel()
        await asyncio.gather(*readings, return_exceptions=True)
