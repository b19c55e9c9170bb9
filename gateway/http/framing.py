"""Checks of a request's head that HTTP requires (RFC 9110 and 9112) and aiohttp's parser leaves out."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from aiohttp import hdrs, web

from turnwire.protocol.errors import ErrorCode, InvalidMessage, TurnwireError

UNKNOWN_CODING: Final = "chunked is the only supported transfer coding"
_CODING_HEADER: Final = re.compile(rb"^transfer-encoding[ \t]*:(.*?)\r?$", re.IGNORECASE | re.MULTILINE)
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*,;=%+-]*|\[[0-9A-Fa-f:.]+\])(?::([0-9]*))?")
_MAX_PORT: Final = 65535


class UnknownCoding(TurnwireError):
    """501: the body has a transfer coding that the gateway does not know. The connection must be closed after the
    answer."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.INVALID_MESSAGE, UNKNOWN_CODING, [UNKNOWN_CODING])
        self.status = 501


def check_framing(request: web.BaseRequest) -> None:
    """Raise UnknownCoding, or InvalidMessage for an invalid Host."""
    headers = request.headers
    if hdrs.TRANSFER_ENCODING in headers and _names(",".join(headers.getall(hdrs.TRANSFER_ENCODING))) != ["chunked"]:
        raise UnknownCoding
    hosts = headers.getall(hdrs.HOST, None)
    if hosts is None:
        return
    if len(hosts) > 1 or not is_host(hosts[0]):
        raise InvalidMessage("a request must have one Host, which is a name or an address")
    if not request.raw_path.startswith(("/", "*")) and not _is_of(hosts[0], request.raw_path):
        raise InvalidMessage("the Host must be the one in the request's target")


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
    authority = target.partition("://")[2].partition("/")[0].partition("?")[0] if "://" in target else target
    return authority.lower() == host.lower()


def _names(codings: str) -> list[str]:
    return [name.strip().lower() for name in codings.split(",") if name.strip()]
