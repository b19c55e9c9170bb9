"""The HTTP server: its connections, and the handling of every request before and after its route.

This happens in one place instead of several middlewares. So faults before the middlewares (an unknown Expect header,
the router) also get the envelope and are counted, and a request costs less.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http_websocket import WebSocketReader

from turnwire.gateway.aiohttp_private import (
    HttpProtocol,
    NoAnswer,
    PlainServer,
    QuickRoutes,
    Runner,
    Server,
    answer_as_http11,
    is_followed_blindly,
    was_routed,
)
from turnwire.gateway.http.body import check_encoding
from turnwire.gateway.http.error_answers import answer_to_error, internal_error, methods_of
from turnwire.gateway.http.farewells import Farewells
from turnwire.gateway.http.framing import Unframed, check_framing
from turnwire.gateway.http.headers import set_security_headers
from turnwire.gateway.http.intake import SMALL, Intake
from turnwire.gateway.http.malformed import answer_to_malformed
from turnwire.gateway.http.portions import Portions
from turnwire.gateway.http.websocket_frames import AT_ONCE, DeafReader, StrictReader
from turnwire.gateway.turns import Share

_KEEPALIVE_SECONDS = 75.0
"""How long a connection may be idle between two requests: longer than common proxies keep theirs."""
_READ_BYTES = 16 * 1024
"""How much of a body may wait to be read: of chunks, a quarter as many, which are read in some 10 ms."""
_MOST_BYTES_PER_CHARACTER = 12
"""Four bytes of UTF-8, percent-encoded."""

Answered = Callable[[web.Request, web.StreamResponse | None, float], None]
Routed = Callable[[web.Request], Awaitable[web.StreamResponse]]
Guard = Callable[[web.Request, Routed], Awaitable[web.StreamResponse]]
MakeReady = Callable[[web.Request, web.StreamResponse], bool]
SendLarge = Callable[[web.Request, web.StreamResponse], Awaitable[None] | None]
Begin = Callable[[web.Request], Awaitable[None] | None]


class Arrivals(Protocol):
    """Counts all connections, idle ones included."""

    def came(self, protocol: asyncio.BaseProtocol, transport: asyncio.BaseTransport) -> None: ...
    def left(self, protocol: asyncio.BaseProtocol) -> None: ...
    def has_place(self, protocol: asyncio.BaseProtocol) -> bool:
        """Return whether the connection may stay after its answer."""


class HttpRunner(Runner):
    """Serves an application. Every error, even an invalid HTTP request, is answered with the envelope, and every
    request is counted.

    Takes the arguments of aiohttp's AppRunner and these:
    - `guard`: answers a request by its route, or raises to refuse it,
    - `answered`: called with each request, its response (None if the client left before) and the seconds it took,
    - `header_timeout`: seconds for the head of a request, and for the rest of a body that no handler read,
    - `retry_after`: seconds after which a refused client may try again,
    - `max_id_chars`: the request line has room for a percent-encoded id of this length,
    - `arrivals`: told of each connection when it comes and when it is gone,
    - `make_ready`: makes an answer ready to be sent by the server, and returns whether it could,
    - `send_large`: returns what sends an answer that is large, and None for any other, which is sent afterwards,
    - `begin`: returns what a request waits for before it begins, if it waits,
    - `parsing`: the share of the loop's time for what arrives.
    """

    def __init__(
        self,
        app: web.Application,
        *,
        guard: Guard,
        answered: Answered,
        header_timeout: float,
        retry_after: float,
        max_id_chars: int,
        arrivals: Arrivals,
        make_ready: MakeReady,
        send_large: SendLarge,
        begin: Begin,
        parsing: Share,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("keepalive_timeout", _KEEPALIVE_SECONDS)
        kwargs.setdefault("lingering_time", header_timeout)
        kwargs.setdefault("auto_decompress", False)
        kwargs.setdefault("read_bufsize", _READ_BYTES)
        kwargs.setdefault("max_line_size", max(8190, max_id_chars * _MOST_BYTES_PER_CHARACTER + 2048))
        super().__init__(app, **kwargs)
        self._guard = guard
        self._answered = answered
        self._header_timeout = header_timeout
        self._retry_after = retry_after
        self._arrivals = arrivals
        self._make_ready = make_ready
        self._send_large = send_large
        self._begin = begin
        self._parsing = parsing

    def make_server(self, plain: PlainServer) -> web.Server:
        guard, answered, retry_after = self._guard, self._answered, self._retry_after
        arrivals, make_ready, send_large, begin = self._arrivals, self._make_ready, self._send_large, self._begin
        quick = QuickRoutes(self.app)
        set_headers = self.app.on_response_prepare.send

        def routed(request: web.Request) -> Awaitable[web.StreamResponse]:
            check_encoding(request)
            handler = quick.find(request)
            return plain.handle(request) if handler is None else handler(request)

        async def handle(request: web.Request) -> web.StreamResponse:
            started = time.perf_counter()
            response: web.StreamResponse | None = None
            try:
                try:
                    check_framing(request)
                    if (turn := begin(request)) is not None:
                        await turn
                    response = await guard(request, routed)
                except Unframed as error:
                    answer_as_http11(request)
                    response = answer_to_error(request, error, retry_after=retry_after)
                    response.force_close()
                    await set_headers(request, response)
                except Exception as error:
                    response = methods_of(request, error) or answer_to_error(request, error, retry_after=retry_after)
                    if not was_routed(request):  # aiohttp sets no headers then
                        await set_headers(request, response)
                if not arrivals.has_place(request.protocol) or is_followed_blindly(request):
                    response.force_close()
                if not make_ready(request, response) and (sending := send_large(request, response)) is not None:
                    await sending
                return response
            finally:
                answered(request, response, time.perf_counter() - started)

        own = {"head_timeout": self._header_timeout, "arrivals": arrivals, "parsing": self._parsing}
        return _Server(handle, own, **plain.options)


class _Connection(HttpProtocol):
    """One HTTP connection: answers bad requests with the envelope, and limits the time for a request head.

    The time starts with the connection, and with the first byte of each further request. Between two requests
    aiohttp's `keepalive_timeout` applies.
    """

    __slots__ = (  # several to a line: a line for each would hide the class
        "_arrivals", "_deaf", "_farewells", "_frames", "_head", "_head_is_whole", "_head_timeout", "_head_timer",
        "_intake", "_parsing", "_slices",
    )  # fmt: skip

    def __init__(
        self,
        manager: web.Server,
        *,
        head_timeout: float,
        arrivals: Arrivals,
        farewells: Farewells,
        slices: Portions,
        parsing: Share,
        **kwargs: Any,
    ) -> None:
        super().__init__(manager, **kwargs)
        self._parsing = parsing
        self._intake: Intake | None = None
        self._arrivals = arrivals
        self._farewells, self._slices = farewells, slices
        self._frames: StrictReader | None = None
        self._head_timeout = head_timeout
        self._head_timer: asyncio.TimerHandle | None = None
        self._head = b""
        """The start of the last request head, from which an error names the request."""
        self._head_is_whole = False
        self._deaf = False
        """Whether what arrives is dropped, because it follows a request that could not be parsed. The parser would copy
        it, fail again and keep another error for each piece."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self._head_timeout, self._head_is_late)
        self._arrivals.came(self, transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._frames is not None:
            self._frames.forget()  # a connection that was reset; before its end, everything has been passed on
        self._farewells.say(partial(self._let_go, exc))

    def _let_go(self, exc: BaseException | None) -> None:
        self._arrivals.left(self)
        self._stop_head_timer()
        if self._intake is not None:
            self._intake.stop()
        super().connection_lost(exc)
        self._intake = self._frames = None  # they refer back: only the garbage collector would free all of them

    def data_received(self, data: bytes) -> None:
        intake = self._intake
        if data and intake is not None and intake.waits:
            intake.take(data)
        elif self._frames is not None:
            super().data_received(data)
        elif len(data) <= SMALL:
            self.parse(data)
        else:
            if intake is None:
                intake = self._intake = Intake(self, self._parsing)
            intake.take(data)

    def parse(self, data: bytes) -> bool:
        """Pass bytes on to aiohttp. Return whether it parses what follows."""
        if self._deaf:
            return False
        heads = self.heads_read if self.expects_head else None
        if heads is not None:
            if self._head_is_whole:
                self._head, self._head_is_whole = b"", False
            if len(self._head) < self.max_line_size:
                self._head += data[: self.max_line_size]
        super().data_received(data)
        self._deaf = self.is_broken
        if self._deaf:
            self.break_body()
        if heads is None:
            return not self._deaf
        if self.heads_read != heads:
            self._head_is_whole = True
            self._stop_head_timer()
        elif self._head_timer is None and not self.is_given_up:
            self._head_timer = self.loop.call_later(self._head_timeout, self._head_is_late)
        return not self._deaf

    def set_parser(self, parser: WebSocketReader, data_received_cb: Callable[[], None] | None = None) -> None:
        self._frames = StrictReader(parser, self, self._slices)
        super().set_parser(self._frames, data_received_cb)  # type: ignore[arg-type]  # has the methods that aiohttp uses

    def ignore_input(self) -> None:
        if self._frames is not None:
            self._frames.forget()
            self.use_parser(DeafReader(self._frames, self, self._slices))
            if self.is_held:  # nobody reads what has arrived any more
                self.resume_reading()

    def reading_resumed(self) -> None:
        if self._intake is not None:
            self._intake.resumed()
        if self._frames is not None:
            self._frames.resumed()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the envelope for a malformed request, or for an error raised outside the routes; no answer if the
        client has left or the answer had begun."""
        if isinstance(exc, ConnectionError) or request.writer.output_size > 0:
            return NoAnswer()
        if status == 400:
            answer_as_http11(request)
            response = answer_to_malformed(self._head, exc, message)
        else:
            response = internal_error(exc, request.method, request.rel_url.raw_path)
        set_security_headers(response.headers)
        response.force_close()
        return response


class _Server(Server):
    def __init__(self, handler: Any, own: dict[str, Any], **kwargs: Any) -> None:
        """`own`: arguments of each connection."""
        super().__init__(handler, **kwargs)
        self._own = {**own, "farewells": Farewells(), "slices": Portions(AT_ONCE)}

    def make_protocol(self, **options: Any) -> HttpProtocol:
        return _Connection(self, **self._own, **options)
