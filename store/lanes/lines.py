"""Submissions that wait for a group commit, and which of them form the next batch."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, NamedTuple, Protocol, TypeVar


class Submission(Protocol):
    """Something to write. The committer resolves `done`, or keeps the submission to submit it again."""

    weight: int
    done: asyncio.Future[int]


class Divisible(Submission, Protocol):
    """A submission that may be written in parts."""

    cost: int
    """About how much work it is to write what is left of it."""

    def take_part(self, most: int) -> None:
        """Have the next batch write a part of this cost at most, or the smallest part. The committer submits the rest
        again."""


S = TypeVar("S", bound=Submission)
D = TypeVar("D", bound=Divisible)


class Line(Protocol[S]):
    """Submissions that wait. One that nobody waits for any more is dropped."""

    weight: int
    """The weight of everything that waits."""

    @property
    def is_long(self) -> bool:
        """Whether more waits than one batch holds."""

    def __len__(self) -> int: ...
    def put(self, submission: S, *, first: bool = False) -> None:
        """Add a submission. `first`: as the oldest of those that wait."""

    def cut(self) -> list[S]:
        """Remove the next batch and return it. It may be empty."""

    def cancel(self) -> None:
        """Cancel all that wait."""


class PlainLine(Generic[S]):
    """First come, first served. A batch has at most `most` of weight, or one submission."""

    __slots__ = ("_most", "_waiting", "weight")

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[S] = deque()
        self.weight = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_long(self) -> bool:
        return self.weight > self._most

    def put(self, submission: S, *, first: bool = False) -> None:
        self.weight += submission.weight
        if first:
            self._waiting.appendleft(submission)
        else:
            self._waiting.append(submission)

    def cut(self) -> list[S]:
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
        while self._waiting:
            self._waiting.popleft().done.cancel()
        self.weight = 0


class Shares(NamedTuple):
    """The bounds of a fair line. All are costs."""

    tiny: int
    """What a tiny submission costs at most."""
    short: int
    """What a short one costs at most."""
    short_batch: int
    """What a batch of tiny and short ones costs at most, unless it is one of them. A long one that costs more is
    written in parts."""
    long_batch: int
    """What a batch of long ones, or of a part of one, costs at most."""


class FairLine(Generic[D]):
    """Short submissions do not wait for long ones, nor long ones for all the short ones.

    What costs no more than a batch of long ones is one batch. If more waits, short and long submissions come by turns,
    each in batches of their own, and very long ones are written in parts. Every other batch of short ones begins with
    the tiny ones. So a tiny one waits for a few batches, however much waits.
    """

    __slots__ = ("_after_long", "_cost", "_long", "_shares", "_short", "_tiny", "_tiny_first", "weight")

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._tiny: deque[D] = deque()
        self._short: deque[D] = deque()
        self._long: deque[D] = deque()
        self._cost = 0
        """The cost of everything that waits."""
        self._after_long = True
        """Whether it is the turn of short ones."""
        self._tiny_first = False
        self.weight = 0

    def __len__(self) -> int:
        return len(self._tiny) + len(self._short) + len(self._long)

    def __bool__(self) -> bool:
        return bool(self._tiny or self._short or self._long)

    @property
    def is_long(self) -> bool:
        return self._cost > self._shares.long_batch

    def put(self, submission: D, *, first: bool = False) -> None:
        cost = submission.cost
        self._cost += cost
        self.weight += submission.weight
        if first:
            self._long.appendleft(submission)
        elif cost <= self._shares.tiny:
            self._tiny.append(submission)
        elif cost <= self._shares.short:
            self._short.append(submission)
        else:
            self._long.append(submission)

    def cut(self) -> list[D]:
        if not self.is_long:
            return self._take(self._cost, self._tiny, self._short, self._long)
        has_short = bool(self._tiny or self._short)
        self._after_long = bool(self._long) and not (has_short and self._after_long)
        if self._after_long:
            batch = self._take(self._shares.long_batch, self._long)
            if batch and batch[0].cost > self._shares.short_batch:
                batch[0].take_part(self._shares.long_batch)
            return batch
        self._tiny_first = not self._tiny_first
        kinds = (self._tiny, self._short) if self._tiny_first else (self._short, self._tiny)
        return self._take(self._shares.short_batch, *kinds)

    def _take(self, most: int, *kinds: deque[D]) -> list[D]:
        """Remove and return the first of these that cost no more than this together, or the first one."""
        batch: list[D] = []
        left = most
        for waiting in kinds:
            while waiting and (not batch or waiting[0].cost <= left):
                submission = waiting.popleft()
                cost = submission.cost
                self._cost -= cost
                self.weight -= submission.weight
                if not submission.done.done():
                    batch.append(submission)
                    left -= cost
        return batch

    def cancel(self) -> None:
        for waiting in (self._tiny, self._short, self._long):
            while waiting:
                waiting.popleft().done.cancel()
        self._cost = self.weight = 0
