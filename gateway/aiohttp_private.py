"""Everything private or undocumented that the gateway uses of aiohttp's server; `aiohttp_websocket_private` and
`aiohttp_client_private` have the rest. No other file of the gateway uses private names of aiohttp, or derives from its
classes.

`tests/gateway/http/test_aiohttp_private.py` has a test for each, which says what to do when aiohttp changes it.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.compression_utils import MAX_SYNC_CHUNK_SIZE
from aiohttp.http import HttpVersion11
from aiohttp.web_protocol import _ErrInfo
from multidict import CIMultiDict

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_QUICK_PATH = re.compile(r"/(\w+)/\{session_id\}(/\w+)?")
_PLAIN_PATH = re.compile(r"/\w+")
_ANY_TEXT = "(?P<session_id>[^/]*)"


def was_routed(request: web.Request) -> bool:
    """Return whether the request's route has been looked up. The public `match_info` asserts that it has."""
    return request._match_info is not None


def is_followed_blindly(request: web.BaseRequest) -> bool:
    """Return whether the gateway cannot tell where the next request begins: the body was not valid HTTP, or bytes have
    arrived after a request for an upgrade that was refused. aiohttp would parse all of these again for each further
    such request among them."""
    return bool(request.protocol._message_tail) or request.content.exception() is not None


def peer_name_of(request: web.BaseRequest) -> object:
    """Return the name of the request's peer, as its transport gives it. aiohttp asks once for each connection; a
    transport asks the system each time."""
    return request.protocol.peername


def answer_as_http11(request: web.BaseRequest) -> None:
    """Answer the request in HTTP/1.1, whatever its version. aiohttp would answer in the version of the request."""
    request._cache["version"] = HttpVersion11


class QuickRoutes:
    """Finds the routes of an application whose path is `/a`, `/a/{session_id}` or `/a/{session_id}/b`.

    aiohttp finds the same ones, but it matches the regular expressions of resources one by one, in a coroutine that it
    keeps until the answer: 300 bytes of an open socket.
    """

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._routes: dict[tuple[str, str], web.AbstractRoute] = {}
        for resource in app.router.resources():
            if (place := _place_of(resource)) is not None:
                self._routes.update({(route.method, place): route for route in resource})

    def find(self, request: web.Request) -> Handler | None:
        """Return the handler of the request's route, and note the route; None if aiohttp has to look for it."""
        place = request.rel_url.raw_path
        found: dict[str, str] = {}
        if len(parts := place.split("/", 4)) > 2:
            if "%" in (session_id := parts[2]):
                return None
            found["session_id"], parts[2] = session_id, "*"
            place = "/".join(parts)
        route = self._routes.get((request.method, place))
        if route is None or hdrs.EXPECT in request.headers:
            return None
        match = web.UrlMappingMatchInfo(found, route)
        match.add_app(self._app)
        match.freeze()
        request._match_info = match
        return route.handler


def _place_of(resource: web.AbstractResource) -> str | None:
    """Return a quick path with `*` in place of the sessionId; None for any other."""
    if isinstance(resource, web.PlainResource):
        return resource.canonical if _PLAIN_PATH.fullmatch(resource.canonical) else None
    path = _QUICK_PATH.fullmatch(resource.canonical)
    if path is None or _ANY_TEXT not in str(resource.get_info().get("pattern")):
        return None
    return f"/{path[1]}/*{path[2] or ''}"


class PlainServer:
    """The handler and the options of the server that aiohttp would run for an application."""

    def __init__(self, server: web.Server) -> None:
        self.handle = server.request_handler
        self.options: dict[str, Any] = {
            "request_factory": server.request_factory,
            "handler_cancellation": server.handler_cancellation,
            **server._kwargs,
        }
        """Arguments for a `Server` that creates the same requests."""


class Runner(web.AppRunner):
    """Serves an application with the server of a subclass."""

    @abstractmethod
    def make_server(self, plain: PlainServer) -> web.Server:
        """Return the server to run instead of `plain`."""

    async def _make_server(self) -> web.Server:
        return self.make_server(PlainServer(await super()._make_server()))


class Server(web.Server, ABC):
    """Creates the protocol of a subclass for each connection."""

    @abstractmethod
    def make_protocol(self, **options: Any) -> HttpProtocol:
        """Return the protocol for a new connection. `options`: those of aiohttp's protocol."""

    def __call__(self) -> web.RequestHandler:
        return self.make_protocol(loop=self._loop, **self._kwargs)


class HttpProtocol(web.RequestHandler):
    """One HTTP connection that exposes its state."""

    __slots__ = ()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    @property
    def heads_read(self) -> int:
        """How many request heads have arrived, including a malformed one that ends the connection."""
        return self._request_count

    @property
    def expects_head(self) -> bool:
        """Whether the next byte belongs to the head of a request: no request is being answered."""
        is_idle = self._request_count == 0 or (self._waiter is not None and not self._waiter.done())
        return is_idle and self._payload_parser is None  # else, it is a WebSocket

    @property
    def is_broken(self) -> bool:
        """Whether the newest request, which waits for its answer, could not be parsed."""
        return bool(self._messages) and isinstance(self._messages[-1][0], _ErrInfo)

    def break_body(self) -> None:
        """Fail the body that was arriving when something came that could not be parsed: aiohttp lets its reader wait.

        The reader gets a RequestPayloadError.
        """
        if len(self._messages) > 1:
            body = self._messages[-2][1]
        elif self._current_request is not None:
            body = self._current_request.content
        else:
            return
        if not body.is_eof():
            body.set_exception(web.RequestPayloadError("the body is not valid HTTP"))
            body.feed_eof()

    @property
    def is_given_up(self) -> bool:
        return self._force_close

    @property
    def is_held(self) -> bool:
        """Whether as much of a body or of a WebSocket has been parsed as may wait to be read."""
        return self._reading_paused

    def hold_reading(self) -> None:
        """Leave the transport unread until `release_reading`, whatever aiohttp's own flow control says."""
        self._pause_reading_for_buffer()

    def release_reading(self) -> None:
        if len(self._messages) < self._max_msg_queue_size:  # else aiohttp does so, once it has answered some requests
            self._resume_reading_for_buffer()

    def resume_reading(self, resume_parser: bool = True) -> None:
        if not self._reading_paused and not self._buffer_paused:
            return  # aiohttp calls this for every body that is read, and parses again although nothing has arrived
        super().resume_reading(resume_parser)
        self.reading_resumed()

    @abstractmethod
    def ignore_input(self) -> None:
        """Drop what arrives on a WebSocket from now on, without parsing it."""

    def use_parser(self, parser: Any) -> None:
        """Replace the parser of a WebSocket."""
        self._payload_parser = parser

    @abstractmethod
    def reading_resumed(self) -> None:
        """Called when `is_held` has become False."""


class NoAnswer(web.StreamResponse):
    """Has aiohttp end the connection. It would also do so for an error, but then the task that has failed, the error
    and its traceback would refer to each other: only the garbage collector would free them, with the request."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        raise ConnectionError("there is no answer")


class Answer(web.Response):
    """An answer that can be sent as ready bytes, with a head that was made in advance. Otherwise, aiohttp makes the
    head, which takes a tenth of a small request's time."""

    def __init__(self, body: bytes, status: int, kind: str, headers: CIMultiDict[str]) -> None:
        """`kind` stands for these headers, which are those of many answers."""
        web.StreamResponse.__init__(self, status=status, _real_headers=headers.copy())  # a third of a Response's steps
        self._body, self._compressed_body = body, None
        self._zlib_executor_size, self._zlib_executor = MAX_SYNC_CHUNK_SIZE, None
        self.kind: str | None = kind
        """None once somebody has been given the headers, and may have changed them."""
        self._ready: bytes | None = None

    @property
    def headers(self) -> CIMultiDict[str]:
        self.kind = None
        return self._headers

    def make_ready(self, head: bytes) -> None:
        """Have this head and the body sent. The connection stays open afterwards."""
        assert isinstance(self._body, bytes)
        self._ready = head + self._body
        self._keep_alive = True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if self._ready is None:
            return await super().prepare(request)
        self._payload_writer = request.writer
        return self._payload_writer

    async def write_eof(self, data: bytes = b"") -> None:
        writer: Any = self._payload_writer
        if self._ready is None or writer is None:
            await super().write_eof(data)
            return
        writer._write(self._ready)
        if writer._protocol._paused:
            await writer.drain()
        self._eof_sent, self._body_length, self._payload_writer = True, len(self._ready), None


def ignore_input(request: web.Request) -> None:
    """Drop what arrives on the WebSocket of this request from now on, without parsing it."""
    if isinstance(request.protocol, HttpProtocol):
        request.protocol.ignore_input()
