"""Large HTTP answers, while they wait for their readers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from aiohttp import hdrs, web

from turnwire.gateway.connections.open_connections import OUTBOX_LIMIT, OpenConnections

LARGE: Final = 64 * 1024
"""Size in bytes above which a body counts among what waits for slow readers. A smaller one fits into a socket's
buffer."""


class LargeAnswer:
    """An answer that is being sent. It is cut off if its reader stops reading, or if too much waits in all answers
    together."""

    def __init__(self, transport: asyncio.Transport, patience: float, on_shed: Callable[[], None]) -> None:
        """`patience`: seconds without any progress after which the reader counts as gone. `on_shed` is called before
        the answer is cut off because too much waits."""
        self._transport = transport
        self._on_shed = on_shed
        self._patience = patience
        self._least = self.waiting_bytes
        self._since: float | None = None
        """When `_least` was seen first; None before the first look."""

    @property
    def waiting_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    def check_alive(self, now: float) -> None:
        """Cut the answer off if nothing of it has been read for too long."""
        waiting = self.waiting_bytes
        if self._since is None or waiting < self._least:
            self._least, self._since = waiting, now
        elif now - self._since > self._patience:
            self.end()

    def end(self) -> None:
        """Cut the answer off."""
        self._transport.abort()

    def shed(self) -> None:
        self._on_shed()
        self.end()


class LargeAnswers:
    """Sends large answers, and leaves all others to the server."""

    def __init__(
        self, connections: OpenConnections, limited: Callable[[web.Request, str], None], *, patience: float
    ) -> None:
        """`limited` audits that a request has hit the limit of this name. `patience` as of an answer."""
        self._connections = connections
        self._limited = limited
        self._patience = patience

    def sending(self, request: web.Request, response: web.StreamResponse) -> Awaitable[None] | None:
        """Return an awaitable that sends the answer, and is done when its reader has read most of it or is gone; None
        if the answer is not large."""
        if not _is_large(response) or request.method == hdrs.METH_HEAD or request.transport is None:
            return None
        return self._send(request, response, request.transport)

    async def _send(self, request: web.Request, response: web.StreamResponse, transport: asyncio.Transport) -> None:
        try:
            await response.prepare(request)
            answer = LargeAnswer(transport, self._patience, partial(self._limited, request, OUTBOX_LIMIT))
            self._connections.answers.add(answer)
            try:
                await response.write_eof()
            finally:
                self._connections.answers.discard(answer)
        except ConnectionError:
            pass  # the server notices it, too


def _is_large(response: web.StreamResponse) -> bool:
    if not isinstance(response, web.Response) or response.prepared:
        return False
    body = response.body
    return isinstance(body, bytes | bytearray) and len(body) > LARGE
