"""How long a small commit waits for company, so that several appends share the cost of one command."""

from __future__ import annotations

from collections import deque
from typing import Final

INTERVAL: Final = 0.003
"""Seconds between the beginnings of two small commits. It delays an ack by half as much on average."""
REST: Final = 0.001
"""Seconds from the end of a commit to a small next one, because those who are answered may send again at once."""
WORTH: Final = 2.2
"""The number of appends that commits must hold on average after waiting, for waiting to continue."""
PATIENCE: Final = 100
"""The number of commits that do not wait, after others have waited in vain."""
ENOUGH: Final = 3
"""The appends that share the cost of a command well: a fourth would save each of them a twelfth of it."""
ENOUGH_SECONDS: Final = 0.0025
"""While more come than that, a commit holds what comes in this many seconds."""
LAST: Final = 8
"""The number of commits by which the next ones are judged. One in this many waits to the end."""


class Pace:
    """The pace of the small commits of one lane. Owned by its group commit.

    A command costs the driver and the database as much as tens of events. So while the events of many sessions come
    fast, a commit begins at the earliest INTERVAL after the beginning of the one before and REST after its end, or once
    it holds as much as any of the LAST ones. Senders that wait for each ack lose next to nothing by this, because they
    have all sent again by then. One or two senders are not worth a pause: PATIENCE commits follow that do not wait.

    While the database answers fast, a commit also begins once it holds ENOUGH, or what comes in ENOUGH_SECONDS. The
    last of its appends then does not wait at all. With a slow database, this would split those who wait for acks.
    """

    __slots__ = ("_began", "_due", "_enough", "_hasty", "_held", "_is_fast", "_waited", "_waits")

    def __init__(self) -> None:
        self._due = float("-inf")
        """When the next commit may begin, on the loop's clock."""
        self._held: deque[int] = deque(maxlen=LAST)
        """The appends in the last commits that have waited."""
        self._hasty = 0
        """How many commits still do not wait."""
        self._waited = False
        """Whether the next commit has waited."""
        self._waits = 0
        self._began: deque[tuple[float, int]] = deque(maxlen=LAST)
        """When the last commits began, and the appends in each."""
        self._enough = 0
        """The appends that are enough while the database answers fast; 0 if that is not known yet. Most commits begin
        without a wait, so nobody asks."""
        self._is_fast = False
        """Whether the last commit was so short that the next one waits for the rest of INTERVAL."""

    def wait(self, now: float) -> float:
        """Return the seconds that the next commit has to wait; 0 if it may begin."""
        left = 0.0 if self._hasty else max(0.0, self._due - now)
        self._waited = left > 0
        self._waits += self._waited
        return left

    def is_enough(self, appends: int) -> bool:
        """Return whether a commit of this many appends need not wait any longer."""
        enough = max(self._held, default=appends + 1)
        if self._is_fast:
            if not self._enough:
                self._enough = max(ENOUGH, round(self._rate() * ENOUGH_SECONDS))
            enough = min(enough, self._enough)
        return appends >= enough and self._waits % LAST > 0

    def begin(self, now: float, appends: int) -> None:
        """Note that a commit of this many appends begins."""
        self._due = now + INTERVAL
        self._began.append((now, appends))
        self._enough = 0
        if self._hasty:
            self._hasty -= 1
        elif self._waited:
            self._held.append(appends)
            if sum(self._held) < WORTH * len(self._held):
                self._held.clear()
                self._hasty = PATIENCE

    def end(self, now: float) -> None:
        """Note that a commit has ended."""
        self._is_fast = now + REST <= self._due
        self._due = max(self._due, now + REST)

    def _rate(self) -> float:
        """Return the number of appends that arrive in a second."""
        (first, before), (last, _) = self._began[0], self._began[-1]
        return (sum(appends for _, appends in self._began) - before) / (last - first) if last > first else 0.0
