"""Limits how long one connection is served before others get their turn."""

from __future__ import annotations

import asyncio
from typing import Final

from turnwire.gateway.turns import Turns

OPENING_SECONDS: Final = 0.0001
GOODBYE_SECONDS: Final = 0.0001
"""How long the gateway's part of an opening or closing handshake takes."""
FRAME_SECONDS: Final = 0.00002
"""How long a small frame takes."""


class Turn:
    """The frames of a connection, and the time they took, since its turn began. A limit of 0 means no limit."""

    __slots__ = ("_began", "_frames", "_most_frames", "_most_seconds", "_spent", "_turns", "_wasted", "_wastes")

    def __init__(self, turns: Turns, most_frames: int, most_seconds: float) -> None:
        self._turns = turns
        self._most_frames = most_frames
        self._most_seconds = most_seconds
        self._frames = 0
        self._spent = self._wasted = self._began = 0.0
        self._wastes = False

    def begin(self) -> None:
        """Note that frames are about to be handled, after a wait."""
        self._began = self._turns.clock()

    def waste(self) -> None:
        """Record that this frame is of no use to anybody: a ping, or a large message that cannot be read."""
        self._wastes = True

    def restart(self) -> None:
        """Record that other connections have had their turn while the frame was handled."""
        self._frames, self._spent = 0, 0.0
        self.begin()

    def is_over(self) -> bool:
        """Return whether `next` must be awaited. Call this after each frame."""
        now = self._turns.clock()
        took = now - self._began
        self._began = now
        self._frames += 1
        self._spent += took
        if self._wastes:
            self._wastes = False
            self._wasted += took
        return 0 < self._most_frames <= self._frames or 0 < self._most_seconds <= self._spent

    @property
    def is_last(self) -> bool:
        """Whether the connection has used up what it may waste."""
        return self._wasted > 0 and self._turns.wasted.is_full

    async def next(self) -> None:
        """Wait for the next turn, for longer if something was wasted."""
        wasted = self._wasted
        self._frames, self._spent, self._wasted = 0, 0.0, 0.0
        if wasted:
            await self._turns.wasted.pause(wasted)
        else:
            await asyncio.sleep(0)  # no longer: what has arrived is parsed meanwhile, and may be dropped next
        self.begin()
