"""Events that have become durable together, encoded once for all who watch."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.outbox import server_frame
from protocol.codec import Codec
from protocol.messages import Event

MAX_FRAME_BYTES = 256 * 1024
"""An `events` push is split when it would be larger, down to one event."""


class EventBatch:
    """Consecutive events of one session, in seq order; never empty. Encodings are made when first asked for."""

    __slots__ = ("_frames", "_lists", "events", "first", "last", "session_id")

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.session_id = events[0].session_id
        self.first = events[0].seq
        self.last = events[-1].seq
        self._lists: dict[Codec, list[bytes]] = {}
        self._frames: dict[tuple[Codec, str], list[bytes]] = {}

    def after(self, skipped: int) -> EventBatch:
        """The batch without its first `skipped` events."""
        return EventBatch(self.events[skipped:]) if skipped else self

    def frames(self, codec: Codec, ref: str) -> list[bytes]:
        """Whole WebSocket frames for subscribers of this codec and ref."""
        frames = self._frames.get((codec, ref))
        if frames is None:
            lists = self._lists.get(codec)
            if lists is None:
                lists = self._lists[codec] = _encode(codec, self.events)
            frames = [server_frame(codec.events_frame(ref, self.session_id, part), text=codec.text) for part in lists]
            self._frames[codec, ref] = frames
        return frames


def _encode(codec: Codec, events: Sequence[Event]) -> list[bytes]:
    encoded = codec.encode_value(events)
    if len(encoded) <= MAX_FRAME_BYTES or len(events) == 1:
        return [encoded]
    half = len(events) // 2
    return _encode(codec, events[:half]) + _encode(codec, events[half:])
