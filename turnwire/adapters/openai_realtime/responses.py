"""The responses that a Realtime session is generating, for tasks that wait for their ends."""

from __future__ import annotations

import asyncio

TAG = "turnwire"
"""The key, in a response's metadata, of the tag that marks our own responses."""


class OpenResponses:
    """The responses of a session. A session generates one response at a time in its conversation."""

    def __init__(self) -> None:
        self._making = 0
        self._free = asyncio.Event()
        self._free.set()
        self._ours: dict[str, asyncio.Future[str]] = {}

    @property
    def is_busy(self) -> bool:
        return self._making > 0

    async def until_free(self) -> None:
        """Wait until none is being generated."""
        await self._free.wait()

    def ours(self, tag: str) -> asyncio.Future[str]:
        """Return a future for the final status of the response of this tag; RuntimeError if the server does not
        generate it."""
        made: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ours[tag] = made
        return made

    def begun(self) -> None:
        self._making += 1
        self._free.clear()

    def ended(self, tag: str | None, status: str) -> None:
        self._making = max(0, self._making - 1)
        if not self._making:
            self._free.set()
        made = self._ours.pop(tag or "", None)
        if made is not None and not made.done():
            made.set_result(status)

    def refused(self, tag: str | None, message: str) -> None:
        """Note that the server has answered the request with this tag by an error."""
        made = self._ours.pop(tag or "", None)
        if made is not None and not made.done():
            made.set_exception(RuntimeError(message))
