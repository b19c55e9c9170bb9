"""Submissions that wait for a group commit, and which of them form the next batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Final, Generic, Protocol, TypeVar


class Submission(Protocol):
    """Something to write. The committer resolves `done`, or keeps the submission to submit it again."""

    weight: int
    done: asyncio.Future[int]


class Divisible(Submission, Protocol):
    """A submission that may be written in parts."""

    cost: int
    """About how much work it is to write what is left of it."""

    def take_part(self, most: int) -> None:
        """Have the next batch write only a part of this cost, or the smallest part. Who writes it puts the rest
        back."""


S = TypeVar("S", bound=Submission)
D = TypeVar("D", bound=Divisible)
_COST: Final[Callable[[Divisible], int]] = attrgetter("cost")


class Line(Generic[S]):
    """First come, first served. A batch has at most `most` of weight, or one submission.

    A submission that nobody waits for any more is dropped.
    """

    __slots__ = ("_most", "_waiting", "weight")

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[S] = deque()
        self.weight = 0
        """The weight of everything that waits."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_long(self) -> bool:
        """Whether more waits than one batch holds."""
        return self.weight > self._most

    def put(self, submission: S, *, first: bool = False) -> None:
        """Add a submission. `first`: as the oldest of those that wait."""
        if first:
            self._waiting.appendleft(submission)
        else:
            self._waiting.append(submission)
        self.weight += submission.weight

    def cut(self) -> list[S]:
        """Remove the next batch and return it. It is empty if nobody waits for what was submitted."""
        batch: list[S] = []
        left = self._most
        while self._waiting and (not batch or self._waiting[0].weight <= left):
            submission = self._waiting.popleft()
            self.weight -= submission.weight
            if not submission.done.done():
                batch.append(submission)
                left -= submission.weight
        return batch

    def cancel(self) -> None:
        """Cancel all that wait."""
        for submission in self._waiting:
            submission.done.cancel()
        self._waiting.clear()
        self.weight = 0


class FairLine(Line[D]):
    """Short submissions do not wait for long ones, nor long ones for all the short ones.

    What costs no more than `most` together is one batch. If more waits, batches of that cost hold the shortest and the
    oldest submissions by turns, and one that costs more by itself is written in parts. So a short one waits for two or
    three batches of that cost, however much waits, and the oldest one gets half of the time.
    """

    __slots__ = ("_cost", "_turn_of_oldest")

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._cost = 0
        """The cost of everything that waits."""
        self._turn_of_oldest = True

    @property
    def is_long(self) -> bool:
        return self._cost > self._most

    def put(self, submission: D, *, first: bool = False) -> None:
        super().put(submission, first=first)
        self._cost += submission.cost

    def cut(self) -> list[D]:
        if self._cost <= self._most:
            batch = [each for each in self._waiting if not each.done.done()]
            self._waiting.clear()
            self.weight = self._cost = 0
            return batch
        self._turn_of_oldest = not self._turn_of_oldest
        if self._turn_of_oldest:
            taken = self._fitting(self._waiting)
            for _ in taken:
                self._waiting.popleft()
        else:
            taken = self._fitting(sorted(self._waiting, key=_COST))
            gone = set(map(id, taken))
            self._waiting = deque(each for each in self._waiting if id(each) not in gone)
        self.weight -= sum(each.weight for each in taken)
        self._cost -= sum(map(_COST, taken))
        if len(taken) == 1 and taken[0].cost > self._most:
            taken[0].take_part(self._most)
        return [each for each in taken if not each.done.done()]

    def _fitting(self, ordered: Iterable[D]) -> list[D]:
        """Return the first of these that cost no more than a batch together, or the first one."""
        taken: list[D] = []
        left = self._most
        for each in ordered:
            if taken and each.cost > left:
                break
            taken.append(each)
            left -= each.cost
        return taken

    def cancel(self) -> None:
        super().cancel()
        self._cost = 0
