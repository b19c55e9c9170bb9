"""Error answers, all in the protocol's envelope."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus

from aiohttp import hdrs, web

from turnwire.protocol.bodies import ErrorEnvelope
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import ErrorCode, TurnwireError
from turnwire.protocol.times import format_time

_log = logging.getLogger("turnwire")

_CODES = {
    401: ErrorCode.UNAUTHENTICATED,
    403: ErrorCode.FORBIDDEN,
    404: ErrorCode.NOT_FOUND,
    413: ErrorCode.TOO_LARGE,
    429: ErrorCode.RATE_LIMITED,
    503: ErrorCode.OVERLOADED,
}
_LISTED = {ErrorCode.INVALID_MESSAGE, ErrorCode.INVALID_EVENT}
_CARRIED_HEADERS = (
    *(hdrs.ALLOW, hdrs.RETRY_AFTER, hdrs.WWW_AUTHENTICATE),
    *(hdrs.UPGRADE, hdrs.CONNECTION, hdrs.SEC_WEBSOCKET_VERSION),  # of 426
)


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
    """Return an error answer. `status` defaults to that of the code; `retry_after` is in seconds, for 429 and 503."""
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
    """Return the answer to a request whose handling raised `error`. Unexpected errors are logged under an id."""
    method, path = request.method, request.rel_url.raw_path or "/"
    if isinstance(error, TurnwireError) and error.code is not ErrorCode.INTERNAL:
        message: str | list[str] = error.message
        if error.details is not None:
            message = error.details
        elif error.code in _LISTED:
            message = [error.message]
        return error_response(
            error.code,
            message,
            method=method,
            path=path,
            status=error.status,
            headers=error.headers,
            retry_after=retry_after if error.retry_after is None else error.retry_after,
        )
    if isinstance(error, web.HTTPException) and (error.status < 500 or error.status == 503):
        return _http_error(error, method, path, retry_after)
    return internal_error(error, method, path)


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


def internal_error(error: BaseException | None, method: str, path: str) -> web.Response:
    error_id = secrets.token_hex(4)
    _log.error("internal error %s in %s %s", error_id, _printable(method), _printable(path), exc_info=error)
    message = f"something went wrong in the gateway; its log has the details under {error_id}"
    return error_response(ErrorCode.INTERNAL, message, method=method, path=path)


def _http_message(error: web.HTTPException, method: str, path: str) -> str:
    if isinstance(error, web.HTTPNotFound) and error.text == "404: Not Found":
        return f"there is no route {path}"
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{method} is not allowed here; allowed: {', '.join(sorted(error.allowed_methods))}"
    return error.text or error.reason


def _status_name(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _printable(text: str) -> str:
    """Return the text with characters replaced that UTF-8 cannot encode (undecodable bytes of a request line)."""
    return text.encode("utf-8", "replace").decode()


def answer_to_error(request: web.Request, error: Exception, *, retry_after: float) -> web.Response:
    """Return the answer to a request whose handler raised `error`.

    Raises ConnectionError if no answer is possible: the client is gone, or an answer has begun, which then breaks off.
    """
    try:
        if isinstance(error, ConnectionError):  # another one is raised: that one's traceback would refer to itself
            raise ConnectionError("the client has left") from None
        if request.writer.output_size > 0:
            _log_broken_off(request, error)
            raise ConnectionError("the answer had begun") from None
        return error_answer(request, error, retry_after=retry_after)
    finally:
        _forget_frames(error)


def _forget_frames(error: BaseException | None) -> None:
    """Forget where an error and its causes were raised. The frames there refer to what may keep the error, such as the
    body that ends with it: only the garbage collector would free all of that."""
    while error is not None:
        error.__traceback__ = None
        error = error.__context__


def _log_broken_off(request: web.BaseRequest, error: Exception) -> None:
    path = _printable(request.rel_url.raw_path)
    if isinstance(error, TurnwireError) and error.code is not ErrorCode.INTERNAL:
        _log.warning("broke off the answer to %s %s: %s", request.method, path, error)
    else:
        _log.error("broke off the answer to %s %s", request.method, path, exc_info=error)


def methods_of(request: web.Request, error: Exception) -> web.Response | None:
    """Return the methods that a resource allows, or the gateway for `*`, for an OPTIONS request that is not a CORS
    preflight; else None."""
    if request.method != hdrs.METH_OPTIONS or hdrs.ORIGIN in request.headers:
        return None
    routes: Iterable[web.AbstractRoute] | None = None
    if request.raw_path == "*" and isinstance(error, web.HTTPNotFound):
        routes = request.app.router.routes()
    elif isinstance(error, web.HTTPMethodNotAllowed | web.HTTPForbidden):
        routes = request.match_info.route.resource
    if routes is None:
        return None
    return web.Response(status=204, headers={hdrs.ALLOW: ", ".join(sorted({route.method for route in routes}))})
