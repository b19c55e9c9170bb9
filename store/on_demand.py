"""A task that lives only while there is work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context

_log = logging.getLogger("turnwire")


class OnDemandTask:
    """A task that runs its owner's work after a `wake`, one run at a time.

    The work must return when it finds nothing more to do, without an await after that check, so that no `wake` is
    missed. An exception from the work is logged, and the next `wake` starts it again. This object keeps no reference to
    the work, which usually refers back to the owner: the garbage collector, which runs rarely, would have to free both.
    """

    __slots__ = ("_context", "_stopped", "_task")

    def __init__(self, context: Context | None = None) -> None:
        """`context`: the context in which the task runs; None stands for the context of the caller of `wake`."""
        self._context = context
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    @property
    def running(self) -> bool:
        return self._task is not None

    def wake(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`, unless it is running already. It must be the same each time."""
        if self._task is None and not self._stopped:
            self._task = asyncio.get_running_loop().create_task(self._main(work), context=self._context)

    async def _main(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception:
            _log.exception("unexpected error in %s", getattr(work, "__qualname__", work))
        finally:
            self._task = None

    def cancel(self) -> None:
        """Cancel the work, and ignore later wakes."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Cancel the work, and wait until it has ended."""
        task = self._task
        self.cancel()
        if task is not None:
            await asyncio.wait([task])
