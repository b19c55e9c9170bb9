"""The events of frames that arrived together, which a session takes as one append."""

from __future__ import annotations

from collections.abc import Callable

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.items import AppendItem
from turnwire.gateway.live.parties import Sender
from turnwire.protocol.messages import BadEvent, EventIn, Limits


class GatheredEvents:
    """The events that one connection has sent, and that its session has not received yet."""

    __slots__ = ("_bytes", "_clock", "_events", "_limits", "_taken_at")

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._events: list[EventIn | BadEvent] = []
        self._bytes = 0
        self._taken_at = 0.0

    def add(self, events: list[EventIn | BadEvent], size: int) -> bool:
        """Add the events of a frame of this many bytes. Return whether the append is full."""
        if not self._events:
            self._taken_at = self._clock()
        self._events += events
        self._bytes += size
        return len(self._events) >= self._limits.batch_events or self._bytes >= self._limits.frame_bytes

    def take(self, sender: Sender) -> AppendItem | None:
        """Remove all of them, and return them as an append of this sender; None if there are none."""
        if not self._events:
            return None
        events, self._events = self._events, []
        size, self._bytes = self._bytes, 0
        return AppendItem(events, size, utc_now(), sender, taken_at=self._taken_at)
