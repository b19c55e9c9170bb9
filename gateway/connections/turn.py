"""Limits how long one connection is served before others get their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Final

from turnwire.gateway.turns import SLICE_SECONDS, Turns

_FRAME_SECONDS: Final = 50e-6
"""The least that a frame is assumed to cost, because the time of one that waits for something is not known."""
_LITTLE: Final = 0.001
"""The share of its time that a connection may waste without being held to the share of all. A pong for each ping of
ours, and pings as our clients send them, take a hundredth of it."""
_AHEAD: Final = 2.0
"""Seconds of this that a connection may waste at once."""
_MANY: Final = 32
_SHORT: Final = SLICE_SECONDS / 8
"""How many seconds a turn takes for a connection that sends a few frames now and then."""

OPENING_SECONDS: Final = 0.0001
GOODBYE_SECONDS: Final = 0.0001
"""How long the gateway's part of an opening or closing handshake takes."""


class Turn:
    """The frames of a connection, and the time they took, since its turn began. A limit of 0 means no limit.

    A turn is not cut short because the system let other processes run meanwhile: a client whose frames are taken in two
    parts also sends the next ones in two parts, and each part costs a commit's share and an answer of its own.
    """

    __slots__ = (  # several to a line: a line for each would hide the class
        "_began", "_each", "_frames", "_made_up_at", "_most_frames", "_most_seconds", "_spent", "_turns", "_wasted",
        "_wastes", "_worked", "client",
    )  # fmt: skip

    def __init__(self, turns: Turns, most_frames: int, most_seconds: float) -> None:
        self._turns = turns
        self._most_frames = most_frames
        self._most_seconds = most_seconds
        self._frames = 0
        self._spent = self._wasted = self._made_up_at = self._worked = 0.0
        self._began = turns.clock()
        self._each = _FRAME_SECONDS
        """Seconds that a frame of the last turn took."""
        self._wastes = False
        self.client: Hashable = None
        """Whose connection it is. Clients get equal shares."""

    def begin(self, *, anew: bool = False) -> bool:
        """Note that frames are about to be handled, after a wait. Return whether `next` must be awaited first.

        `anew`: others have had their turn meanwhile, so this is another turn, unless the last one has wasted much: that
        is made up for at its end.
        """
        if anew and not self._wasted:
            self._end()
            self._worked = self._turns.cpu_clock()
        self._began = self._turns.clock()
        return self._turns.is_late

    @property
    def left(self) -> int:
        """How many frames the turn has left, the one being handled included; no more than a few dozen."""
        return self._most_frames - self._frames if self._most_frames else _MANY

    def also(self, frames: int) -> None:
        """Record that this many more frames were handled together with one."""
        self._frames += frames

    def waste(self) -> None:
        """Record that this frame is of no use to anybody: a ping, or a large message that cannot be read."""
        self._wastes = True

    def waited(self) -> None:
        """Record that the time until now was not spent on the frame: others may have had their turn meanwhile."""
        self._began = self._turns.clock()

    def is_over(self) -> bool:
        """Return whether `next` must be awaited. Call this after each frame."""
        now = self._turns.clock()
        took = now - self._began
        self._began = now
        self._frames += 1
        self._spent += took
        self._turns.handled(took)
        if self._wastes:
            self._wastes = False
            self._made_up_at = max(now, self._made_up_at) + took / _LITTLE
            if self._made_up_at > now + _AHEAD:
                self._wasted += took
        return 0 < self._most_frames <= self._frames or (0 < self._most_seconds <= self._spent and self._has_worked())

    def _has_worked(self) -> bool:
        """Return whether the frames have kept the processor busy for as long as a turn may take."""
        return self._turns.cpu_clock() - self._worked >= self._most_seconds

    def _end(self) -> None:
        if self._frames:
            self._each = max(self._spent / self._frames, _FRAME_SECONDS)
        self._frames, self._spent = 0, 0.0

    @property
    def is_owed(self) -> bool:
        """Whether the connection has wasted time that it must make up for."""
        return self._wasted > 0

    @property
    def is_last(self) -> bool:
        """Whether the connection wastes much, and all together have used up what they may waste."""
        return self._wasted > 0 and self._turns.wasted.is_full

    async def next(self, waiting: int) -> None:
        """Wait for the next turn, for longer if much was wasted. `waiting`: how many frames have arrived.

        A connection with few frames does not wait behind those of its client that have many.
        """
        turns, wasted = self._turns, self._wasted
        self._end()
        self._wasted = 0.0
        if wasted:
            await turns.wasted.pause(wasted)
        elif turns.is_late or (waiting and turns.any_wait):
            cost = min(self._each * min(waiting + 1, self._most_frames or waiting + 1), SLICE_SECONDS)
            await turns.next(cost, (self.client, cost > _SHORT))
        else:
            await asyncio.sleep(0)  # no longer: what has arrived is parsed meanwhile, and may be dropped next
        self.begin(anew=True)
