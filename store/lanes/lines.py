"""Submissions that wait for a group commit, and which of them form the next batch."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Generic, NamedTuple, Protocol, TypeVar


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

    def has_for_two(self, least: int) -> bool:
        """Whether a second batch is worth it beside one in flight. `least`: what must weigh so much for that."""

    def cut(self, *, beside: bool = False) -> list[S]:
        """Remove the next batch and return it. It may be empty. `beside`: it is written beside another one."""

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

    def has_for_two(self, least: int) -> bool:
        return self.weight >= least

    def cut(self, *, beside: bool = False) -> list[S]:
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


_CAREFUL_BATCHES: Final = 64
"""Batches after the last tiny submission that has waited beside others. Small ones take half a second."""


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
    careful_batch: int
    """What a batch of short or long ones, or of a part of one, costs at most while tiny ones come beside them."""


class FairLine(Generic[D]):
    """Short submissions do not wait for long ones, nor long ones for all the short ones.

    What costs no more than one batch is one. If more waits, short and long submissions come by turns,
    each in batches of their own, and very long ones are written in parts. While tiny ones come beside them, such
    batches are small, every other batch has the tiny ones alone, and so has any batch that is written beside another
    one. So a tiny one waits for a small batch or two, however much waits.
    """

    __slots__ = ("_after_long", "_after_tiny", "_careful", "_cost", "_long", "_shares", "_short", "_tiny", "weight")

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._tiny: deque[D] = deque()
        self._short: deque[D] = deque()
        self._long: deque[D] = deque()
        self._cost = 0
        """The cost of everything that waits."""
        self._after_long = True
        """Whether it is the turn of short ones."""
        self._after_tiny = False
        """Whether the last batch had the tiny ones alone."""
        self._careful = 0
        """The number of batches that are still small, because a tiny one has waited beside others."""
        self.weight = 0

    def __len__(self) -> int:
        return len(self._tiny) + len(self._short) + len(self._long)

    def __bool__(self) -> bool:
        return bool(self._tiny or self._short or self._long)

    @property
    def is_long(self) -> bool:
        return self._cost > self._most

    @property
    def _most(self) -> int:
        """What a batch that is not of short ones alone costs at most."""
        return self._shares.careful_batch if self._careful else self._shares.long_batch

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

    def has_for_two(self, least: int) -> bool:
        return bool(self._tiny) if self._careful else self.weight >= least

    def cut(self, *, beside: bool = False) -> list[D]:
        others = self._short or self._long
        self._careful = _CAREFUL_BATCHES if self._tiny and others else max(0, self._careful - 1)
        if beside and self._careful:
            return self._take(self._shares.short_batch, self._tiny)
        if not self.is_long:
            return self._take(self._cost, self._tiny, self._short, self._long)
        self._after_tiny = bool(self._tiny) and not (others and self._after_tiny)
        if self._after_tiny:
            return self._take(self._shares.short_batch, self._tiny)
        self._after_long = bool(self._long) and not (self._short and self._after_long)
        if self._after_long:
            return self._take_long()
        return self._take(self._most if self._careful else self._shares.short_batch, self._short)

    def _take_long(self) -> list[D]:
        most = self._most
        batch = self._take(most, self._long)
        if batch and batch[0].cost > (most if self._careful else self._shares.short_batch):
            batch[0].take_part(most)
        return batch

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
