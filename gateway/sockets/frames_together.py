"""Frames that have arrived together, decoded at once."""

from __future__ import annotations

from typing import Final, Protocol

from turnwire.protocol.codec import Batch, Codec
from turnwire.protocol.messages import Limits

TOGETHER_BYTES: Final = 16 * 1024
"""The most that is decoded at once. It takes half a millisecond at most."""


class Source(Protocol):
    """A connection whose frames are decoded."""

    codec: Codec
    limits: Limits

    def arrived(self, most: int, size: int) -> list[bytes]:
        """Return frames that have arrived after the one being handled: `most` at most, and of this size together."""

    def took(self, frames: int) -> None:
        """Record that the next frames were handled together with the one before them."""


class FramesTogether:
    """The frames of one publisher. Most hold a single event and arrive by the dozen if they come fast."""

    __slots__ = ("_alone",)

    def __init__(self) -> None:
        self._alone = 0
        """How many of the next frames must be decoded one by one."""

    def decode(self, frame: bytes, source: Source, room: int) -> tuple[Batch, int] | None:
        """Decode this frame and the next ones, and return their events and their size in bytes. There is room for this
        many events.

        None if only one frame is there, or if any of them is not an ordinary append: this one is to be decoded alone.
        """
        if self._alone:
            self._alone -= 1
            return None
        following = source.arrived(room - 1, TOGETHER_BYTES - len(frame))
        if not following:
            return None
        frames = [frame, *following]
        events = source.codec.decode_appends(frames, source.limits)
        if events is None or len(events) > room:
            self._alone = len(following)
            return None
        source.took(len(following))
        return Batch(events), sum(map(len, frames))
