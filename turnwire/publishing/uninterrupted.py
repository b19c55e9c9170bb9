"""Running cleanup to its end, even if the task that does it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine


async def uninterrupted(leave: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run cleanup to its end, even if the calling task is cancelled meanwhile, and raise CancelledError after it.

    If the cleanup's own task is cancelled, as all tasks are when a loop shuts down, start it once more. Use it only for
    cleanup that takes a bounded time.
    """
    cancelled: asyncio.CancelledError | None = None
    task = asyncio.create_task(leave())
    begun_again = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
        if task.cancelled() and not begun_again:
            begun_again = True
            task = asyncio.create_task(leave())
    if cancelled is not None:
        raise cancelled
    task.result()
