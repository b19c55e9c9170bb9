"""What must be done before a task is gone, whatever happens to the task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine


async def uninterrupted(leave: Callable[[], Coroutine[None, None, None]]) -> None:
    """Runs to its end what must be done before a task is gone, also when the task is cancelled meanwhile.

    The cancellation is passed on then. What is cancelled itself, as all tasks are when a loop is closed, is begun once
    more. To be used for what takes a bounded time.
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
