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
    missed. An exception from it is logged; the next `wake` starts it again. The work is not kept: it mostly refers to
    the owner, and the two would wait for the garbage collector, which comes rarely.
    """

    __slots__ = ("_context", "_stopped", "_task")

    def __init__(self, context: Context | None = None) -> None:
        """`context`: that in which the task runs; None is that of whoever wakes it."""
        self._context = context
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    @property
    def running(self) -> bool:
        return self._task is not None

    def wake(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`, always the same, unless it runs already."""
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
