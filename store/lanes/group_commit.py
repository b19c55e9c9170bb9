"""Group commit: while a write is in flight, everything that arrives is gathered for the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from turnwire.store.lanes.lines import Line, Submission
from turnwire.store.lanes.pace import Pace
from turnwire.store.on_demand import OnDemandTask

S = TypeVar("S", bound=Submission)


class GroupCommit(Generic[S]):
    """A queue that hands submissions to `commit` in the batches that its line cuts.

    Without a pace, a submission is committed at once if nothing is in flight. Under load, batches grow by themselves. A
    submission that nobody waits for any more is dropped. The queue's owners are two tasks that run while the queue
    holds something: one always, the other one when much waits beside a batch in flight.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[S]], Awaitable[None]],
        line: Line[S],
        *,
        overlap_weight: int | None = None,
        pace: Pace | None = None,
    ) -> None:
        """With `overlap_weight`, `commit` is called for a second batch while one is in flight, once this much waits and
        half as much as is in flight. So one batch is written while those who submitted the other learn of it and go on.
        `pace` lets small batches wait for company, until they weigh `overlap_weight`.
        """
        self._commit = commit
        self._line = line
        self._overlap_weight = overlap_weight
        self._pace = pace
        self._company: asyncio.Future[None] | None = None
        """Resolved once the next batch need not wait any longer for further submissions."""
        self._task = OnDemandTask(Context())  # in a context of its own, because it works for all submitters
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
        return self._line.weight >= max(self._overlap_weight, self._in_flight // 2)

    async def _run(self) -> None:
        while self._line:
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
        if self._pace is None or self._line.is_long or self._pace.is_enough(len(self._line)):
            return True
        return self._overlap_weight is not None and self._line.weight >= self._overlap_weight

    def _end_wait(self) -> None:
        if self._company is not None and not self._company.done():
            self._company.set_result(None)

    async def _commit_next(self) -> None:
        # Give the callers just answered a chance to submit again before the next batch is cut.
        await asyncio.sleep(0)
        batch = self._line.cut()
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
            self._in_flight -= weight
            if self._pace is not None:
                self._pace.end(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Stop, and cancel everything not known to be written."""
        self._closed = True
        await asyncio.gather(self._task.stop(), self._second.stop())
        self._line.cancel()
