"""Group commit: while a write is in flight, everything that arrives is gathered for the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Generic, Protocol, TypeVar

from turnwire.store.lanes.lines import Line, Submission
from turnwire.store.lanes.pace import Pace
from turnwire.store.on_demand import OnDemandTask

S = TypeVar("S", bound=Submission)
S_contra = TypeVar("S_contra", bound=Submission, contravariant=True)
_Rest = Callable[[], Awaitable[None]]


class QuickCommit(Protocol[S_contra]):
    """Commits without a task of their own, which costs a commit that comes alone two passes of the loop."""

    def begin(self, batch: Sequence[S_contra], ended: Callable[[], None]) -> bool:
        """Begin to write the batch. Return False if that takes a task; nothing has been done then.

        `ended` is called once the outcome is there, later.
        """

    def finish(self, batch: Sequence[S_contra]) -> _Rest | None:
        """Answer the submissions according to the outcome. Return what is left to do in a task, if anything is."""


class GroupCommit(Generic[S]):
    """A queue that hands submissions to `commit` in the batches that its line cuts.

    Without a pace, a submission is committed at once if nothing is in flight. Under load, batches grow by themselves. A
    submission that nobody waits for any more is dropped. The queue's owners are two tasks that run while the queue
    holds something: one always, the other one when much waits beside a batch in flight. With a quick commit, the first
    of them runs only when a commit takes a task.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[S]], Awaitable[None]],
        line: Line[S],
        *,
        overlap_weight: int | None = None,
        pace: Pace | None = None,
        quick: QuickCommit[S] | None = None,
    ) -> None:
        """With `overlap_weight`, `commit` is called for a second batch while one is in flight, once this much waits and
        half as much as is in flight. So one batch is written while those who submitted the other learn of it and go on.
        `pace` lets small batches wait for company, until they weigh `overlap_weight`.
        """
        self._commit = commit
        self._line = line
        self._overlap_weight = overlap_weight
        self._pace = pace
        self._quick = quick
        self._loop = asyncio.get_running_loop()
        self._context = Context()  # one of its own, because it works for all submitters
        self._due: asyncio.Handle | None = None
        """Set while the next batch is about to be cut."""
        self._waits = False
        """Whether that batch waits for company."""
        self._under_way: Sequence[S] = ()
        """The batch that is being committed, unless it is the second one."""
        self._its_weight = 0
        self._task = OnDemandTask(self._context)
        self._second = OnDemandTask(Context())
        self._closed = False
        self._in_flight = 0

    @property
    def weight(self) -> int:
        """The weight of everything that waits or is in flight."""
        return self._line.weight + self._in_flight

    def submit(self, submission: S, *, first: bool = False) -> None:
        """Add a submission. `first`: as the oldest of those that wait."""
        if self._closed:
            submission.done.cancel()
            return
        self._line.put(submission, first=first)
        if self._waits:
            if self._is_enough:
                self._end_wait()
        elif self._due is None and not self._under_way:
            self._due = self._loop.call_soon(self._keep_pace, context=self._context)
        if self._has_for_two:
            self._second.wake(self._run_beside)

    @property
    def _has_for_two(self) -> bool:
        """Whether so much waits beside what is in flight that a second batch is worth it."""
        if self._overlap_weight is None or not self._in_flight:
            return False
        return self._line.has_for_two(max(self._overlap_weight, self._in_flight // 2))

    @property
    def _is_enough(self) -> bool:
        """Whether what waits is worth a command now, whatever else may come."""
        if self._pace is None or self._line.is_long or self._pace.is_enough(len(self._line)):
            return True
        return self._overlap_weight is not None and self._line.weight >= self._overlap_weight

    # One batch after the other. Each is cut a pass of the loop after the answers to the one before, or later, so that
    # those who were answered can submit again.

    def _keep_pace(self) -> None:
        """Commit the next batch, or wait before a small one, while it is likely to grow."""
        left = 0.0 if self._pace is None else self._pace.wait(self._loop.time())
        if left > 0 and not self._is_enough:
            self._waits = True
            self._due = self._loop.call_later(left, self._end_wait, context=self._context)
        else:
            self._commit_next()

    def _end_wait(self) -> None:
        """Commit in two passes of the loop: what has arrived already is submitted until then."""
        assert self._due is not None, "the timer runs while a batch waits"
        self._due.cancel()
        self._waits = False
        self._due = self._loop.call_soon(self._end_wait_now, context=self._context)

    def _end_wait_now(self) -> None:
        self._due = self._loop.call_soon(self._commit_next, context=self._context)

    def _commit_next(self) -> None:
        self._due, self._waits = None, False
        self._under_way, self._its_weight = batch, _ = self._cut()
        if not batch:
            self._go_on()
        elif self._quick is None:
            self._hand_to_task(partial(self._commit, batch))
        else:
            self._begin(batch, self._quick)

    def _begin(self, batch: Sequence[S], quick: QuickCommit[S]) -> None:
        """Commit the batch without a task, if that is possible."""
        try:
            is_begun = quick.begin(batch, partial(self._ended, batch))
        except Exception as error:
            self._answered(error)
            return
        if not is_begun:
            self._hand_to_task(partial(self._commit, batch))

    def _hand_to_task(self, rest: _Rest) -> None:
        self._task.wake(partial(self._carry_out, rest))

    def _go_on(self) -> None:
        self._under_way = ()
        if self._line and not self._closed:
            self._due = self._loop.call_soon(self._keep_pace, context=self._context)

    def _ended(self, batch: Sequence[S]) -> None:
        """Answer the batch that was committed without a task."""
        if self._closed or batch is not self._under_way:  # nobody waits for it any more
            return
        assert self._quick is not None, "it has begun the batch"
        try:
            rest = self._quick.finish(batch)
        except Exception as error:
            self._answered(error)
            return
        if rest is not None:
            self._hand_to_task(rest)
        else:
            self._answered()

    def _answered(self, error: Exception | None = None) -> None:
        """Go on after the batch under way: it is answered, or fails with this error."""
        if error is not None:
            _fail(self._under_way, error)
        self._over(self._its_weight)
        self._go_on()

    async def _carry_out(self, rest: _Rest) -> None:
        try:
            await self._see_through(self._under_way, self._its_weight, rest)
        finally:
            self._go_on()

    # In either way

    async def _run_beside(self) -> None:
        while self._has_for_two:
            # Give the callers just answered a chance to submit again before the next batch is cut.
            await asyncio.sleep(0)
            batch, weight = self._cut(beside=True)
            if batch:
                await self._see_through(batch, weight, partial(self._commit, batch))

    def _cut(self, *, beside: bool = False) -> tuple[list[S], int]:
        """Return the next batch, which is in flight from now on, and its weight: that of a submission may change while
        it is written. It may be empty."""
        batch = self._line.cut(beside=beside)
        weight = 0
        if batch:
            if self._pace is not None:
                self._pace.begin(self._loop.time(), len(batch))
            for submission in batch:
                weight += submission.weight
            self._in_flight += weight
        return batch, weight

    def _over(self, weight: int) -> None:
        self._in_flight -= weight
        if self._pace is not None:
            self._pace.end(self._loop.time())

    async def _see_through(self, batch: Sequence[S], weight: int, commit: _Rest) -> None:
        try:
            await commit()
        except Exception as error:
            _fail(batch, error)
        except asyncio.CancelledError:  # it stays unknown whether the batch was written
            _cancel(batch)
            raise
        finally:
            self._over(weight)

    async def close(self) -> None:
        """Stop, and cancel everything not known to be written."""
        self._closed = True
        if self._due is not None:
            self._due.cancel()
        await asyncio.gather(self._task.stop(), self._second.stop())
        _cancel(self._under_way)
        self._line.cancel()


def _fail(batch: Sequence[Submission], error: Exception) -> None:
    for submission in batch:
        if not submission.done.done():
            submission.done.set_exception(error)


def _cancel(batch: Sequence[Submission]) -> None:
    for submission in batch:
        submission.done.cancel()
