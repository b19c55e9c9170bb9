"""The order in which waiting work of several clients is done."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T")
_FEW = 64


class FairQueue(Generic[T]):
    """Serves clients equally by what their work costs, however much each of them wants.

    Every piece of work gets a finish: the one before it of the same client, or else that of the piece taken last, plus
    its own cost. The earliest finish is next. So a client's pieces keep their order, and a new client's piece waits
    for about as much work of each other client as it costs itself, and for one piece more.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, T]] = []
        self._finishes: dict[Hashable, float] = {}
        """Client → the finish of its last piece. May lack finishes that have passed."""
        self._now = 0.0
        """The finish of the piece taken last."""
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, work: T, client: Hashable, cost: float) -> None:
        """Add work of a client. `cost`: more than 0, in the same unit for all."""
        finish = max(self._now, self._finishes.get(client, 0.0)) + cost
        self._finishes[client] = finish
        self._count += 1
        heappush(self._waiting, (finish, self._count, work))

    def take(self) -> T:
        """Remove the next piece. Raises IndexError if none waits."""
        self._now, _, work = heappop(self._waiting)
        if len(self._finishes) > 2 * len(self._waiting) + _FEW:
            self._finishes = {client: finish for client, finish in self._finishes.items() if finish > self._now}
        return work
