"""Where the reading loop of a socket waits until it may go on."""

from __future__ import annotations

import asyncio


class ReadingPause:
    """A pause of one reading loop. Whoever may have ended its reason calls `wake`; the loop then looks again."""

    __slots__ = ("_woken",)

    def __init__(self) -> None:
        self._woken: asyncio.Future[None] | None = None

    async def wait(self, seconds: float | None = None) -> None:
        """Wait for a `wake`, and no longer than so many seconds."""
        loop = asyncio.get_running_loop()
        self._woken = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, self.wake)
        try:
            await self._woken
        finally:
            self._woken = None
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)
