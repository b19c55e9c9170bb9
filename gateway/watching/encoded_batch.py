"""What a session shows, encoded once for all who watch: events that have become durable together, and itself."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from turnwire.gateway.connections.frames import server_frame
from turnwire.protocol.codec import Codec
from turnwire.protocol.messages import Event, Session

_ENVELOPE_BYTES = 8 * 1024
"""Room in a frame for what stands beside its events: the ref and the sessionId."""


Group = tuple[Codec, str]
"""Codec and ref. Subscribers that share both get the same frames."""


class EncodedBatch:
    """Consecutive events of one session, in seq order; never empty. Encoded when first needed."""

    __slots__ = ("_frames", "_lists", "events", "first", "last", "session_id")

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.session_id = events[0].session_id
        self.first = events[0].seq
        self.last = events[-1].seq
        self._lists: dict[Codec, list[tuple[bytes, int]]] = {}
        self._frames: dict[Group, list[tuple[bytes, int]]] = {}

    def after(self, skipped: int) -> EncodedBatch:
        """Return the batch without its first `skipped` events."""
        return EncodedBatch(self.events[skipped:]) if skipped else self

    def frames(self, group: Group, max_bytes: int) -> list[tuple[bytes, int]]:
        """Return complete WebSocket frames for these subscribers, each with the seq of its last event.

        A frame has at most `max_bytes`, unless it holds a single event. `max_bytes` must be the same in every call.
        """
        frames = self._frames.get(group)
        if frames is None:
            codec, ref = group
            lists = self._lists.get(codec)
            if lists is None:
                lists = self._lists[codec] = _encode(codec, self.events, max_bytes - _ENVELOPE_BYTES)
            frames = self._frames[group] = [
                (server_frame(codec.events_frame(ref, self.session_id, part), text=codec.text), last)
                for part, last in lists
            ]
        return frames


class Picture:
    """A session as it was after a change. Encoded when first needed."""

    __slots__ = ("_frames", "number", "session")

    def __init__(self, session: Session, number: int) -> None:
        self.session = session
        self.number = number
        """How many changes its audience has been told of, this one included."""
        self._frames: dict[Hashable, bytes] = {}

    def frame(self, group: Hashable, make: Callable[[Session], bytes]) -> bytes:
        """Return the frame that `make` makes of the session. Watchers of the same group share it."""
        frame = self._frames.get(group)
        if frame is None:
            frame = self._frames[group] = make(self.session)
        return frame


def _encode(codec: Codec, events: Sequence[Event], max_bytes: int) -> list[tuple[bytes, int]]:
    """Return encoded lists of events of at most `max_bytes`, each with its last seq. A single event may be larger."""
    encoded = codec.encode_value(events)
    if len(encoded) <= max_bytes or len(events) == 1:
        return [(encoded, events[-1].seq)]
    half = len(events) // 2
    return _encode(codec, events[:half], max_bytes) + _encode(codec, events[half:], max_bytes)
