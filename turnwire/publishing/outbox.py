"""The queued events that the gateway has not answered yet. Pure: no I/O, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from itertools import chain

from msgspec import Struct

FRAME_OVERHEAD = 64
"""Maximum number of bytes of an append frame around its events. Each event adds one more."""


class Entry(Struct):
    """One event, encoded once, so that every sending is the same."""

    event_id: str
    data: bytes
    first_sent: float | None = None
    """The time of its first sending, on the sender's clock; None before."""
    in_memory_only: bool = False
    """Whether the outbox has a file, and the file could not take the event."""


class OutOfStep(Exception):
    """An answer is not for the oldest event in flight."""


class Outbox:
    """Events in the order queued: first those in flight on the present connection, then those waiting.

    Each leaves once, from the front: after the gateway's answer (`answered`), when a new connection shows that it is
    stored (`reconnected`), or when its session has ended and the log has it (`take_out`). Holds at most `capacity`
    events, in memory only, unlike a SpooledOutbox.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"max_outbox must be 1 or more, not {capacity}")
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
        """Whether `add` would accept one more event, even if the outbox is full."""
        return not self.is_full

    @property
    def kept_in(self) -> str | None:
        """The path of the file that keeps the events beyond the process; None without one."""
        return None

    def open(self) -> None:
        """Open the outbox, once, before any other call. It may then hold events of an earlier process."""

    def release(self) -> None:
        """Release the outbox after its last use."""

    def add(self, entry: Entry) -> None:
        """Queue an event. Raises OverflowError if there is no room."""
        self._check_room()
        self._waiting.append(entry)

    def add_anyhow(self, entry: Entry) -> None:
        """Queue an event, in memory if its file cannot take it. Raises OverflowError if there is no room."""
        self.add(entry)

    def _check_room(self) -> None:
        if not self.has_room:
            raise OverflowError(f"the outbox holds {len(self)} events already")

    def next_frame(self, *, max_in_flight: int, max_events: int, max_bytes: int, now: float) -> list[Entry]:
        """Return the events to send next in one frame, and count them as in flight. Empty if none may be sent.

        A single event over `max_bytes` gets a separate frame: the gateway decides about it.
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
        """Remove and return the oldest event in flight, which the gateway has answered.

        `seq` is its position if it is stored. An answer without an id is for an event with an invalid id. Raises
        OutOfStep for an answer to another event.
        """
        if not self._flying:
            raise OutOfStep(f"an answer for {event_id!r}, but nothing is in flight")
        if event_id is not None and self._flying[0].event_id != event_id:
            raise OutOfStep(f"an answer for {event_id!r}, but {self._flying[0].event_id!r} is next")
        if seq is not None:
            self._known_seq = max(self._known_seq, seq)
        return self._flying.popleft()

    def reconnected(self, last_seq: int, last_event_id: str | None) -> list[tuple[Entry, int]]:
        """On a new connection, with the log at `last_seq`, remove stored events, and queue the others in flight again.

        Return the removed events with their positions. They count as stored if the log has grown by exactly these
        events, the first ones in flight, up to the log's last. Otherwise another client has written too, or the gateway
        has refused an event, and all are sent again: the gateway answers stored ones as duplicates. (A refused event
        counts as stored only if both happened equally often before the same connection broke.)
        """
        grown, self._known_seq = last_seq - self._known_seq, last_seq
        stored: list[tuple[Entry, int]] = []
        if 1 <= grown <= len(self._flying) and self._flying[grown - 1].event_id == last_event_id:
            stored = [(self._flying.popleft(), last_seq - grown + 1 + index) for index in range(grown)]
        self._waiting.extendleft(reversed(self._flying))
        self._flying.clear()
        return stored

    def take_out(self, event_ids: Collection[str]) -> list[Entry]:
        """Remove and return the events of these ids, in order. The others wait."""
        everything = list(self)
        self._flying.clear()
        self._waiting = deque(entry for entry in everything if entry.event_id not in event_ids)
        return [entry for entry in everything if entry.event_id in event_ids]
