"""The answer to bytes that are not a valid HTTP request."""

from __future__ import annotations

import re

from aiohttp import hdrs, web
from aiohttp.http_exceptions import BadHttpMethod, InvalidURLError, LineTooLong

from turnwire.gateway.http.error_answers import error_response
from turnwire.gateway.http.framing import fault_of
from turnwire.protocol.errors import ErrorCode

_REQUEST_LINE = re.compile(rb"(?<![!-~])([!#$%&'+*.^_`|~0-9A-Za-z-]{1,32}) ([!-~]+) HTTP/\d")
"""Tried only where words begin: at each letter of a long name, it would take 5 ms."""


def answer_to_malformed(head: bytes, exc: BaseException | None, message: str | None) -> web.Response:
    """Return the envelope. `head`: the start of the request. `exc`, `message`: why aiohttp could not parse it."""
    method, path = _request_line(head)
    status, fault = fault_of(head) or (400, (message or "bad request").split("\n", 1)[0].rstrip(": "))
    if isinstance(exc, LineTooLong):
        status, fault = 400, "the request line or a header is too long"
    elif isinstance(exc, BadHttpMethod) and method in hdrs.METH_ALL:
        fault = "it has no body, or a shorter one, and what follows it is not a request"
    elif isinstance(exc, BadHttpMethod) and method != "UNKNOWN":
        status, fault = 501, f"{method} is not a known method"
    elif isinstance(exc, InvalidURLError):
        fault = "its target is not a URL"
    elif fault == "Bad status line":
        fault = "its first line is not of the form METHOD TARGET HTTP/1.1"
    fault = f"not a valid HTTP request: {fault}"
    return error_response(ErrorCode.INVALID_MESSAGE, [fault], method=method, path=path, status=status)


def _request_line(head: bytes) -> tuple[str, str]:
    """Return method and path of a request that could not be parsed; `UNKNOWN` and `/` if they are not known."""
    lines = _REQUEST_LINE.findall(head)
    if len(lines) != 1:
        return "UNKNOWN", "/"
    method, target = lines[0]
    return method.decode(), target.decode().partition("?")[0]
