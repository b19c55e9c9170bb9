"""Every error answer as the protocol's envelope: from handlers (middleware) and from HTTP itself (the runner)."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web
from aiohttp.http_exceptions import LineTooLong

from gateway.headers import set_security_headers
from gateway.keys import CONFIG
from protocol.bodies import ErrorEnvelope
from protocol.codec import JSON
from protocol.errors import ErrorCode, TurnwireError
from protocol.times import format_time

_log = logging.getLogger("turnwire")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_CODES = {
    401: ErrorCode.UNAUTHENTICATED,
    403: ErrorCode.FORBIDDEN,
    404: ErrorCode.NOT_FOUND,
    413: ErrorCode.TOO_LARGE,
    429: ErrorCode.RATE_LIMITED,
    503: ErrorCode.OVERLOADED,
}
_LISTED = {ErrorCode.INVALID_MESSAGE, ErrorCode.INVALID_EVENT}
_CARRIED_HEADERS = (hdrs.ALLOW, hdrs.RETRY_AFTER, hdrs.WWW_AUTHENTICATE)
_KEEPALIVE_SECONDS = 75.0
"""How long a connection may be silent between two requests: longer than usual proxies keep theirs."""
_MOST_BYTES_PER_CHARACTER = 12
"""Four bytes of UTF-8, percent-encoded."""
_REQUEST_LINE = re.compile(rb"([A-Za-z]{1,32}) ([!-~]+) HTTP/\d")


# --- the envelope ----------------------------------------------------------------------------------------------------


def error_response(
    code: ErrorCode,
    message: str | list[str],
    *,
    method: str,
    path: str,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    retry_after: float = 1.0,
) -> web.Response:
    """An error answer. `status` is the code's own unless given; `retry_after` is in seconds, for 429 and 503."""
    status = code.facts.status if status is None else status
    envelope = ErrorEnvelope(
        status_code=status,
        timestamp=format_time(datetime.now(UTC)),
        path=_printable(path),
        method=_printable(method),
        error=_status_name(status),
        message=[_printable(text) for text in message] if isinstance(message, list) else _printable(message),
        code=code,
    )
    body = JSON.encode(envelope)
    response = web.Response(status=status, body=body, content_type="application/json", charset="utf-8", headers=headers)
    if status in (429, 503):
        response.headers.setdefault(hdrs.RETRY_AFTER, str(max(1, math.ceil(retry_after))))
    return response


def error_answer(request: web.BaseRequest, error: Exception, *, retry_after: float = 1.0) -> web.Response:
    """What a request is answered whose handling raised `error`. Unexpected ones are logged under an id."""
    method, path = request.method, request.rel_url.raw_path or "/"
    if isinstance(error, TurnwireError) and error.code is not ErrorCode.INTERNAL:
        message: str | list[str] = error.message
        if error.details is not None:
            message = error.details
        elif error.code in _LISTED:
            message = [error.message]
        return error_response(error.code, message, method=method, path=path, retry_after=retry_after)
    if isinstance(error, web.HTTPException) and (error.status < 500 or error.status == 503):
        return _http_error(error, method, path, retry_after)
    return _internal_error(error, method, path)


def _http_error(error: web.HTTPException, method: str, path: str, retry_after: float) -> web.Response:
    response = error_response(
        _CODES.get(error.status, ErrorCode.INVALID_MESSAGE),
        _http_message(error, method, path),
        method=method,
        path=path,
        status=error.status,
        headers={name: error.headers[name] for name in _CARRIED_HEADERS if name in error.headers},
        retry_after=retry_after,
    )
    if error.status == 408:
        response.force_close()
    return response


def _internal_error(error: BaseException | None, method: str, path: str) -> web.Response:
    error_id = secrets.token_hex(4)
    _log.error("internal error %s in %s %s", error_id, _printable(method), _printable(path), exc_info=error)
    message = f"something went wrong in the gateway; its log has the details under {error_id}"
    return error_response(ErrorCode.INTERNAL, message, method=method, path=path)


def _http_message(error: web.HTTPException, method: str, path: str) -> str:
    if isinstance(error, web.HTTPNotFound) and error.text == "404: Not Found":
        return f"there is no route {path}"
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{method} is not served here; what is: {', '.join(sorted(error.allowed_methods))}"
    return error.text or error.reason


def _status_name(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _printable(text: str) -> str:
    """The text with what UTF-8 cannot encode (undecodable bytes of a request line) replaced."""
    return text.encode("utf-8", "replace").decode()


# --- errors of handlers ----------------------------------------------------------------------------------------------


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what a handler raises into the envelope. An answer that has begun is broken off instead."""
    return await _enveloped(request, handler)


async def _enveloped(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ConnectionError:
        raise  # the client is gone
    except Exception as error:
        if isinstance(error, web.HTTPException) and error.status < 400:
            raise
        if request.writer.output_size > 0:
            _log_broken_off(request, error)
            raise ConnectionError("the answer had begun") from None
        return error_answer(request, error, retry_after=request.config_dict[CONFIG].reconnect_after)


def _log_broken_off(request: web.BaseRequest, error: Exception) -> None:
    path = _printable(request.rel_url.raw_path)
    if isinstance(error, TurnwireError) and error.code is not ErrorCode.INTERNAL:
        _log.warning("broke off the answer to %s %s: %s", request.method, path, error)
    else:
        _log.error("broke off the answer to %s %s", request.method, path, exc_info=error)


# --- errors of HTTP itself -------------------------------------------------------------------------------------------


class _Connection(web.RequestHandler):
    """One HTTP connection: bad requests get the envelope, and a request head has a time limit.

    The head's clock starts with the connection, and later with the first byte of each further request; aiohttp's own
    `keepalive_timeout` is for a connection that is silent between two requests.
    """

    __slots__ = ("_head", "_head_is_whole", "_head_timeout", "_head_timer")

    def __init__(self, manager: web.Server, *, head_timeout: float, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._head_timeout = head_timeout
        self._head_timer: asyncio.TimerHandle | None = None
        self._head = b""
        """The start of the last request head, to say in an error which request it was."""
        self._head_is_whole = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._head_timer = self._loop.call_later(self._head_timeout, self._head_is_late)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._payload_parser is not None or not self._expects_head():
            super().data_received(data)
            return
        if self._head_is_whole:
            self._head, self._head_is_whole = b"", False
        if len(self._head) < self.max_line_size:
            self._head += data[: self.max_line_size]
        requests = self._request_count
        super().data_received(data)
        if self._request_count != requests:
            self._head_is_whole = True
            self._stop_head_timer()
        elif self._head_timer is None and not self._force_close:
            self._head_timer = self._loop.call_later(self._head_timeout, self._head_is_late)

    def _expects_head(self) -> bool:
        return self._request_count == 0 or (self._waiter is not None and not self._waiter.done())

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
        """The envelope for a malformed request, or for what was raised outside the middlewares."""
        if isinstance(exc, ConnectionError):
            raise exc
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        if status == 400:
            method, path = self._request_line()
            fault = (message or "bad request").split("\n", 1)[0].rstrip(": ")
            if isinstance(exc, LineTooLong):
                fault = "the request line or a header is too long"
            fault = f"not a valid HTTP request: {fault}"
            response = error_response(ErrorCode.INVALID_MESSAGE, [fault], method=method, path=path)
        else:
            response = _internal_error(exc, request.method, request.rel_url.raw_path)
        set_security_headers(response)
        response.force_close()
        return response

    def _request_line(self) -> tuple[str, str]:
        """Method and path of the request that could not be parsed, as far as they are known."""
        lines = _REQUEST_LINE.findall(self._head)
        if len(lines) != 1:
            return "UNKNOWN", "/"
        method, target = lines[0]
        return method.decode(), target.decode().partition("?")[0]


class _Server(web.Server):
    def __init__(self, handler: Any, *, head_timeout: float, **kwargs: Any) -> None:
        super().__init__(handler, **kwargs)
        self._head_timeout = head_timeout

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, head_timeout=self._head_timeout, **self._kwargs)


class EnvelopeRunner(web.AppRunner):
    """Serves an application so that even what is no valid HTTP request is answered with the envelope.

    Takes the arguments of aiohttp's AppRunner, and `header_timeout`: seconds for the head of a request, and for the
    rest of a body that nobody wanted. A request line has room for a percent-encoded id of the longest kind.
    """

    def __init__(self, app: web.Application, *, header_timeout: float, **kwargs: Any) -> None:
        kwargs.setdefault("keepalive_timeout", _KEEPALIVE_SECONDS)
        kwargs.setdefault("lingering_time", header_timeout)
        kwargs.setdefault("max_line_size", max(8190, app[CONFIG].max_id_chars * _MOST_BYTES_PER_CHARACTER + 2048))
        super().__init__(app, **kwargs)
        self._header_timeout = header_timeout

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()

        async def handle(request: web.Request) -> web.StreamResponse:
            # What fails before the middlewares (an unknown Expect header, the router) gets the envelope too.
            return await _enveloped(request, plain.request_handler)

        return _Server(
            handle,
            head_timeout=self._header_timeout,
            request_factory=plain.request_factory,
            handler_cancellation=plain.handler_cancellation,
            **plain._kwargs,
        )
