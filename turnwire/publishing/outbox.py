"""The events a publisher has taken and the gateway has not answered yet. Pure: no I/O, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from itertools import chain

from msgspec import Struct

FRAME_OVERHEAD = 64
"""Bytes of an append frame around its events, at most; each event takes one more."""


class Entry(Struct):
    """One event, encoded once, so that every sending of it is the same."""

    event_id: str
    data: bytes
    first_sent: float | None = None
    """When it was first written to a connection, on the sender's clock."""


class OutOfStep(Exception):
    """An answer is not about the event whose turn it is."""


class Outbox:
    """Events in the order taken: first those in flight on the present connection, then those waiting.

    Each leaves once, from the front: by the gateway's answer (`answered`), or when a new connection shows that it is
    stored (`reconnected`), or when its session has ended and the log has it (`take_out`). Bounded by `capacity` events.

    It lives in memory, and is gone with the process; a SpooledOutbox is not.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"the capacity must be 1 or more, not {capacity}")
        self.capacity = capacity
        self._flying: deque[Entry] = deque()
        self._waiting: deque[Entry] = deque()
        self._known_seq = 0

    def __len__(self) -> int:
        return len(self._flying) + len(self._waiting)

    def __iter__(self) -> Iterator[Entry]:
        return chain(self._flying, self._waiting)

    @property
    def in_flight(self) -> int:
        return len(self._flying)

    @property
    def is_full(self) -> bool:
        return len(self) >= self.capacity

    @property
    def has_room(self) -> bool:
        """Whether `add` would take one more, full or not."""
        return not self.is_full

    @property
    def kept_in(self) -> str | None:
        """Where its events outlive the process; None for nowhere."""
        return None

    def open(self) -> None:
        """To be called once, before anything else; what is there then was left by another process."""

    def release(self) -> None:
        """To be called when it is not used any more."""

    def add(self, entry: Entry) -> None:
        """Take one more. Raises OverflowError when there is no room."""
        self._check_room()
        self._waiting.append(entry)

    def _check_room(self) -> None:
        if not self.has_room:
            raise OverflowError(f"the outbox holds {len(self)} events already")

    def next_frame(self, *, max_in_flight: int, max_events: int, max_bytes: int, now: float) -> list[Entry]:
        """The events to send next in one frame; they are in flight from now on. Empty when none may be sent.

        A single event over `max_bytes` gets a frame of its own: the gateway has to say what it thinks of it.
        """
        frame: list[Entry] = []
        room = min(max_in_flight - len(self._flying), max_events)
        size = FRAME_OVERHEAD
        while self._waiting and len(frame) < room:
            entry = self._waiting[0]
            size += len(entry.data) + 1
            if frame and size > max_bytes:
                break
            self._waiting.popleft()
            if entry.first_sent is None:
                entry.first_sent = now
            self._flying.append(entry)
            frame.append(entry)
        return frame

    def answered(self, event_id: str | None, seq: int | None = None) -> Entry:
        """The gateway's answer for the oldest event in flight; `seq` if it is stored.

        An answer without an id is about an event whose id the gateway would not take. Raises OutOfStep when it is
        another event's turn.
        """
        if not self._flying:
            raise OutOfStep(f"an answer for {event_id!r}, and nothing is in flight")
        if event_id is not None and self._flying[0].event_id != event_id:
            raise OutOfStep(f"an answer for {event_id!r}, and it is the turn of {self._flying[0].event_id!r}")
        if seq is not None:
            self._known_seq = max(self._known_seq, seq)
        return self._flying.popleft()

    def reconnected(self, last_seq: int, last_event_id: str | None) -> list[tuple[Entry, int]]:
        """A new connection is open, and the log stands at `last_seq`. What was in flight waits again, in its place.

        Returns the events that need no second sending, with their positions. The log must have grown by exactly the
        events that were in flight, up to the one that is now its last. Else somebody else has written too, or the
        gateway has refused an event, and all are sent again: it answers those it has as duplicates. (Only when both
        happened, equally often and behind the same broken connection, does a refused event count as stored.)
        """
        grown, self._known_seq = last_seq - self._known_seq, last_seq
        stored: list[tuple[Entry, int]] = []
        if 1 <= grown <= len(self._flying) and self._flying[grown - 1].event_id == last_event_id:
            stored = [(self._flying.popleft(), last_seq - grown + 1 + index) for index in range(grown)]
        self._waiting.extendleft(reversed(self._flying))
        self._flying.clear()
        return stored

    def take_out(self, event_ids: Collection[str]) -> list[Entry]:
        """Take out the events of these ids, in order. The others wait."""
        everything = list(self)
        self._flying.clear()
        self._waiting = deque(entry for entry in everything if entry.event_id not in event_ids)
        return [entry for entry in everything if entry.event_id in event_ids]
