"""Checks of a request's head that HTTP requires (RFC 9110 and 9112) and aiohttp's parser leaves out."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion10, HttpVersion11

from turnwire.protocol.errors import ErrorCode, InvalidMessage, TurnwireError

UNKNOWN_CODING: Final = "chunked is the only supported transfer coding"
UNKNOWN_VERSION: Final = "the gateway speaks HTTP/1.1 and HTTP/1.0"
_CODING_HEADER: Final = re.compile(rb"^transfer-encoding[ \t]*:(.*?)\r?$", re.IGNORECASE | re.MULTILINE)
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*,;=%+-]*|\[[0-9A-Fa-f:.]+\])(?::([0-9]*))?")
_MAX_PORT: Final = 65535
_REQUEST_LINE: Final = re.compile(rb"([!#$%&'+*.^_`|~0-9A-Za-z-]+) +[!-~]+ +HTTP/([0-9])\.([0-9])\r\n")
_SPOKEN: Final = ((b"1", b"1"), (b"1", b"0"))


class Unframed(TurnwireError):
    """The gateway cannot tell where this request ends, or must not trust it. The connection must be closed after the
    answer."""

    def __init__(self, status: int, fault: str) -> None:
        super().__init__(ErrorCode.INVALID_MESSAGE, fault, [fault])
        self.status = status


def check_framing(request: web.BaseRequest) -> None:
    """Raise Unframed, or InvalidMessage for an invalid Host or target."""
    headers = request.headers
    if request.version is not HttpVersion11:
        _check_version(request)
    if hdrs.TRANSFER_ENCODING in headers and _names(",".join(headers.getall(hdrs.TRANSFER_ENCODING))) != ["chunked"]:
        raise Unframed(501, UNKNOWN_CODING)
    target = request.raw_path
    if "#" in target:
        raise InvalidMessage("the request's target must not have a fragment")
    hosts = headers.getall(hdrs.HOST, None)
    if hosts is None:
        return
    if len(hosts) > 1 or not is_host(hosts[0]):
        raise InvalidMessage("a request must have one Host, which is a name or an address")
    if not target.startswith(("/", "*")) and not _is_of(hosts[0], target):
        raise InvalidMessage("the Host must be the one in the request's target, which must begin with http or https")


def _check_version(request: web.BaseRequest) -> None:
    """Raise Unframed for a version other than 1.1 and 1.0, and for chunks in a version that has none."""
    if request.version == HttpVersion11:
        return
    if request.version != HttpVersion10:
        raise Unframed(505, UNKNOWN_VERSION)
    if hdrs.TRANSFER_ENCODING in request.headers:
        raise Unframed(400, "an HTTP/1.0 request must not have a Transfer-Encoding")


def fault_of(head: bytes) -> tuple[int, str] | None:
    """Return the status and text for the bytes of a head that could not be parsed; None if any 400 will do."""
    if has_unknown_coding(head):
        return 501, UNKNOWN_CODING
    line = _REQUEST_LINE.match(head)
    if line is None:
        return None
    if line.group(2, 3) not in _SPOKEN:
        return 505, UNKNOWN_VERSION
    return None


def has_unknown_coding(head: bytes) -> bool:
    """Return whether the bytes of a request's head name a transfer coding other than chunked."""
    named = b",".join(_CODING_HEADER.findall(head)).decode("latin-1")
    return any(name != "chunked" for name in _names(named))


@lru_cache(64)
def is_host(value: str) -> bool:
    """Return whether a Host header may have this value. An empty one is valid."""
    found = _HOST.fullmatch(value)
    return found is not None and int(found[1] or 0) <= _MAX_PORT


def _is_of(host: str, target: str) -> bool:
    """Return whether a target with an authority, `http://host:port/path` or `host:port`, names this host."""
    scheme, separator, rest = target.partition("://")
    if not separator:
        return target.lower() == host.lower()
    authority = rest.partition("/")[0].partition("?")[0]
    return scheme.lower() in ("http", "https") and authority.lower() == host.lower()


def _names(codings: str) -> list[str]:
    return [name.strip().lower() for name in codings.split(",") if name.strip()]
