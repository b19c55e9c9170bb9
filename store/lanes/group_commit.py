"""Group commit: one write is in flight, and everything that arrives meanwhile goes into the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, Protocol, TypeVar

from turnwire.store.on_demand import OnDemandTask


class Submission(Protocol):
    """Something to write. The committer resolves `done`, or keeps the submission to submit it again."""

    weight: int
    done: asyncio.Future[int]


S = TypeVar("S", bound=Submission)


class GroupCommit(Generic[S]):
    """A queue that hands submissions, in order, to `commit` in batches of at most `max_weight` (or one submission).

    There is no timer: with nothing in flight, a submission is committed at once. Under load, batches grow by
    themselves. A submission that nobody waits for any more is dropped. The queue's owner is a task that runs while the
    queue holds something.
    """

    def __init__(self, commit: Callable[[Sequence[S]], Awaitable[None]], *, max_weight: int) -> None:
        self._commit = commit
        self._max_weight = max_weight
        self._waiting: deque[S] = deque()
        self._task = OnDemandTask(Context())  # in a context of its own, because it works for all submitters
        self._closed = False
        self.weight = 0
        """The weight of everything that waits or is in flight."""

    def submit(self, submission: S) -> None:
        if self._closed:
            submission.done.cancel()
            return
        self._waiting.append(submission)
        self.weight += submission.weight
        self._task.wake(self._run)

    async def _run(self) -> None:
        while self._waiting:
            # Give the callers just answered a chance to submit again before the next batch is cut.
            await asyncio.sleep(0)
            batch = self._cut()
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
                self.weight -= sum(submission.weight for submission in batch)

    def _cut(self) -> list[S]:
        batch: list[S] = []
        weight = 0
        while self._waiting and (not batch or weight + self._waiting[0].weight <= self._max_weight):
            submission = self._waiting.popleft()
            if submission.done.done():
                self.weight -= submission.weight
                continue
            batch.append(submission)
            weight += submission.weight
        return batch

    async def close(self) -> None:
        """Stop, and cancel everything not known to be written."""
        self._closed = True
        await self._task.stop()
        while self._waiting:
            self._waiting.popleft().done.cancel()
