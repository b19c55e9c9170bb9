"""All that the server takes of aiohttp without being promised it: names that begin with an underscore, and how its
WebSockets end. No other file of the gateway uses such a name, or derives from a class of aiohttp.

`tests/gateway/http/test_aiohttp_private.py` has a test for each, which fails when a release of aiohttp has changed it,
and says what to do.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web


def was_routed(request: web.Request) -> bool:
    """Whether the request's route has been looked up. The public `match_info` asserts that it has."""
    return request._match_info is not None


class PlainServer:
    """The server that aiohttp would run for an application, taken apart."""

    def __init__(self, server: web.Server) -> None:
        self.handle = server.request_handler
        self.options: dict[str, Any] = {
            "request_factory": server.request_factory,
            "handler_cancellation": server.handler_cancellation,
            **server._kwargs,
        }
        """Arguments of a `Server` that makes the same requests."""


class Runner(web.AppRunner):
    """Serves an application by a server of our own."""

    def make_server(self, plain: PlainServer) -> web.Server:
        """The server to run instead of `plain`."""
        raise NotImplementedError

    async def _make_server(self) -> web.Server:
        return self.make_server(PlainServer(await super()._make_server()))


class Server(web.Server):
    """Makes a protocol of our own for each connection."""

    def make_protocol(self, **options: Any) -> HttpProtocol:
        """The protocol of a new connection, made of the options of aiohttp's own."""
        raise NotImplementedError

    def __call__(self) -> web.RequestHandler:
        return self.make_protocol(loop=self._loop, **self._kwargs)


class HttpProtocol(web.RequestHandler):
    """One HTTP connection, which says how far it is."""

    __slots__ = ()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    @property
    def heads_read(self) -> int:
        """How many request heads have come, the malformed one that ends a connection included."""
        return self._request_count

    @property
    def expects_head(self) -> bool:
        """Whether the next byte begins or continues the head of a request: nothing is being answered."""
        if self._payload_parser is not None:  # a WebSocket
            return False
        return self._request_count == 0 or (self._waiter is not None and not self._waiter.done())

    @property
    def is_given_up(self) -> bool:
        return self._force_close


class WebSocket(web.WebSocketResponse[bool]):
    """Leaves the transport open after the close frame: closing it while the other side still sends would reset the
    connection, and the other side would lose the close frame. Whoever owns this one closes it, in time."""

    def _close_transport(self) -> None:
        pass

    async def read_out(self) -> None:
        """After `close`: read on to the other side's close frame. aiohttp does so by itself unless somebody was in
        `receive` when we closed."""
        if self._closing and self._reader is not None:
            with suppress(Exception):  # whatever ends the reading ends the wait
                while (await self._reader.read()).type is not WSMsgType.CLOSE:
                    pass
