"""Group commit: one write in flight; what arrives meanwhile makes the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

from turnwire.store.on_demand import OnDemandTask


class Submission(Protocol):
    """Something to be written. Whoever commits it settles `done`, or keeps it to submit it again."""

    weight: int
    done: asyncio.Future[int]


S = TypeVar("S", bound=Submission)


class GroupCommit(Generic[S]):
    """Hands submissions, in order, to `commit` in batches of at most `max_weight` (or one submission).

    There is no timer: with nothing in flight a submission is committed at once, under load the batches grow by
    themselves. One that nobody waits for any more is dropped before it is sent.
    Owner of the queue: the one task that is running while there is something in it.
    """

    def __init__(self, commit: Callable[[Sequence[S]], Awaitable[None]], *, max_weight: int) -> None:
        self._commit = commit
        self._max_weight = max_weight
        self._waiting: deque[S] = deque()
        self._task = OnDemandTask(self._run)
        self._closed = False
        self.weight = 0
        """Of all that waits or is in flight."""

    def submit(self, submission: S) -> None:
        if self._closed:
            submission.done.cancel()
            return
        self._waiting.append(submission)
        self.weight += submission.weight
        self._task.wake()

    async def _run(self) -> None:
        while self._waiting:
            # Those who were just answered get a turn to submit again before the next batch is cut.
            await asyncio.sleep(0)
            batch = self._cut()
            try:
                await self._commit(batch)
            except Exception as error:
                for submission in batch:
                    if not submission.done.done():
                        submission.done.set_exception(error)
            except asyncio.CancelledError:  # whether it was written stays unknown
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
        """Stop. What is not known to be written is cancelled."""
        self._closed = True
        await self._task.stop()
        while self._waiting:
            self._waiting.popleft().done.cancel()
