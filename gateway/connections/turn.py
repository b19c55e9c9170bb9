"""Limits how long one connection may be served before others get their turn."""

from __future__ import annotations

from collections.abc import Callable


class Turn:
    """The frames of a connection, and the time they took, since its turn began. A limit of 0 means no limit."""

    __slots__ = ("_began", "_clock", "_frames", "_most_frames", "_most_seconds", "_spent")

    def __init__(self, clock: Callable[[], float], most_frames: int, most_seconds: float) -> None:
        self._clock = clock
        self._most_frames = most_frames
        self._most_seconds = most_seconds
        self._frames = 0
        self._spent = self._began = 0.0

    def begin(self) -> None:
        """Note that frames are about to be handled, after a wait."""
        self._began = self._clock()

    def is_over(self) -> bool:
        """Return whether the turn is over, and begin the next one if so. To be called after each frame."""
        now = self._clock()
        self._frames += 1
        self._spent += now - self._began
        self._began = now
        if 0 < self._most_frames <= self._frames or 0 < self._most_seconds <= self._spent:
            self._frames, self._spent = 0, 0.0
            return True
        return False
