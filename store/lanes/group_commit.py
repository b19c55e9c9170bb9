"""Group commit: while a write is in flight, everything that arrives is gathered for the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from turnwire.store.lanes.pace import Pace
from turnwire.store.on_demand import OnDemandTask


class Submission(Protocol):
    """Something to write. The committer resolves `done`, or keeps the submission to submit it again."""

    weight: int
    done: asyncio.Future[int]


S = TypeVar("S", bound=Submission)


class Large(Struct, frozen=True):
    """What is large, and how much of it a batch holds."""

    over: int
    """The weight over which a submission is large."""
    share: int
    """The weight of large submissions in a batch."""


class GroupCommit(Generic[S]):
    """A queue that hands submissions, in order, to `commit` in batches of at most `max_weight` (or one submission).

    Small ones do not wait behind large ones. If there is a `Large`, submissions over its weight come last in a batch,
    in an order of their own: as many as fit into its share, at least one. So neither kind delays the other for long.

    Without a pace, a submission is committed at once if nothing is in flight. Under load, batches grow by themselves. A
    submission that nobody waits for any more is dropped. The queue's owners are two tasks that run while the queue
    holds something: one always, the other one when much waits beside a batch in flight.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[S]], Awaitable[None]],
        *,
        max_weight: int,
        overlap_weight: int | None = None,
        pace: Pace | None = None,
        large: Large | None = None,
    ) -> None:
        """With `overlap_weight`, `commit` is called for a second batch while one is in flight, once this much waits and
        half as much as is in flight. So one batch is written while those who submitted the other learn of it and go on.
        `pace` lets small batches wait for company, until they weigh `overlap_weight`.
        """
        self._commit = commit
        self._max_weight = max_weight
        self._overlap_weight = overlap_weight
        self._pace = pace
        self._company: asyncio.Future[None] | None = None
        """Resolved once the next batch need not wait any longer for further submissions."""
        self._waiting: deque[S] = deque()
        self._large = large
        self._large_ones: deque[S] = deque()
        """Large submissions that wait."""
        self._task = OnDemandTask(Context())  # in a context of its own, because it works for all submitters
        self._second = OnDemandTask(Context())
        self._closed = False
        self._in_flight = 0
        self.weight = 0
        """The weight of everything that waits or is in flight."""

    def submit(self, submission: S) -> None:
        if self._closed:
            submission.done.cancel()
            return
        is_large = self._large is not None and submission.weight > self._large.over
        (self._large_ones if is_large else self._waiting).append(submission)
        self.weight += submission.weight
        self._task.wake(self._run)
        if self._company is not None and self._is_enough:
            self._end_wait()
        if self._has_for_two:
            self._second.wake(self._run_beside)

    @property
    def _has_for_two(self) -> bool:
        """Whether so much waits beside what is in flight that a second batch is worth it."""
        if self._overlap_weight is None or not self._in_flight:
            return False
        return self.weight - self._in_flight >= max(self._overlap_weight, self._in_flight // 2)

    async def _run(self) -> None:
        while self._waiting or self._large_ones:
            await self._keep_pace()
            await self._commit_next()

    async def _run_beside(self) -> None:
        while self._has_for_two:
            await self._commit_next()

    async def _keep_pace(self) -> None:
        """Wait before a small batch, while it is likely to grow."""
        loop = asyncio.get_running_loop()
        left = 0.0 if self._pace is None else self._pace.wait(loop.time())
        if left > 0 and not self._is_enough:
            self._company = loop.create_future()
            timer = loop.call_later(left, self._end_wait)
            try:
                await self._company
            finally:
                timer.cancel()
                self._company = None

    @property
    def _is_enough(self) -> bool:
        """Whether what waits is worth a command now, whatever else may come."""
        if self._pace is None or self._large_ones or self._pace.is_enough(len(self._waiting)):
            return True
        return self._overlap_weight is not None and self.weight - self._in_flight >= self._overlap_weight

    def _end_wait(self) -> None:
        if self._company is not None and not self._company.done():
            self._company.set_result(None)

    async def _commit_next(self) -> None:
        # Give the callers just answered a chance to submit again before the next batch is cut.
        await asyncio.sleep(0)
        batch = self._cut()
        if not batch:
            return
        if self._pace is not None:
            self._pace.begin(asyncio.get_running_loop().time(), len(batch))
        weight = sum(submission.weight for submission in batch)
        self._in_flight += weight
        try:
            await self._commit(batch)
        except Exception as error:
            for submission in batch:
                if not submission.done.done():
                    submission.done.set_exception(error)
        except asyncio.CancelledError:  # it stays unknown whether the batch was written
            for submission in batch:
                submission.done.cancel()
            raise
        finally:
            self.weight -= weight
            self._in_flight -= weight
            if self._pace is not None:
                self._pace.end(asyncio.get_running_loop().time())

    def _cut(self) -> list[S]:
        batch = self._take(self._waiting, self._max_weight)
        if self._large is not None and self._large_ones:
            batch += self._take(self._large_ones, self._large.share)
        return batch

    def _take(self, waiting: deque[S], most: int) -> list[S]:
        """Remove and return the first of these submissions: those that fit into this weight, or one."""
        taken: list[S] = []
        weight = 0
        while waiting and (not taken or weight + waiting[0].weight <= most):
            submission = waiting.popleft()
            if submission.done.done():
                self.weight -= submission.weight
                continue
            taken.append(submission)
            weight += submission.weight
        return taken

    async def close(self) -> None:
        """Stop, and cancel everything not known to be written."""
        self._closed = True
        await asyncio.gather(self._task.stop(), self._second.stop())
        for waiting in (self._waiting, self._large_ones):
            while waiting:
                waiting.popleft().done.cancel()
