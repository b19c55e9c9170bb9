"""How long one connection may go on before others get their turn."""

from __future__ import annotations

from collections.abc import Callable


class Turn:
    """Frames, and the time they took, since the others had theirs. A limit of 0 is none."""

    __slots__ = ("_began", "_clock", "_frames", "_most_frames", "_most_seconds", "_spent")

    def __init__(self, clock: Callable[[], float], most_frames: int, most_seconds: float) -> None:
        self._clock = clock
        self._most_frames = most_frames
        self._most_seconds = most_seconds
        self._frames = 0
        self._spent = self._began = 0.0

    def begin(self) -> None:
        """A frame is about to be handled."""
        self._began = self._clock()

    def is_over(self) -> bool:
        """To be asked after each frame; when it is over, the next one begins."""
        self._frames += 1
        self._spent += self._clock() - self._began
        if 0 < self._most_frames <= self._frames or 0 < self._most_seconds <= self._spent:
            self._frames, self._spent = 0, 0.0
            return True
        return False
