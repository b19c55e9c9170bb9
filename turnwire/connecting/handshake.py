"""A handshake that the gateway refused: whether to retry, and the gateway's reason."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping

import aiohttp
from yarl import URL

from turnwire.connecting.answers import said
from turnwire.connecting.causes import shown, what_broke
from turnwire.errors import Refused, refusal
from turnwire.protocol.codec import Codec
from turnwire.protocol.errors import ErrorCode

TIMEOUT = 5.0
"""Seconds for the second request, which asks for the reason."""

_CODES = {
    401: ErrorCode.UNAUTHENTICATED,
    403: ErrorCode.FORBIDDEN,
    404: ErrorCode.NOT_FOUND,
    409: ErrorCode.SESSION_ENDED,
}
_RETRIED = {408, 425, 429}


class Lost(Exception):
    """The connection is gone or could not be made. Opening another one may help.

    `retry_after` is in seconds; None if the gateway did not say. `announced` means that the gateway said that it would
    close, and will be back.
    """

    def __init__(self, reason: str, retry_after: float | None = None, *, announced: bool = False) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.announced = announced


async def refused_handshake(
    http: aiohttp.ClientSession,
    url: URL,
    error: aiohttp.WSServerHandshakeError,
    codec: Codec,
    headers: Mapping[str, str],
) -> Lost | Refused:
    """Return the error for a refused handshake. If final, ask again: aiohttp drops the text of the first answer."""
    status = error.status
    if status >= 500 or status in _RETRIED:
        return Lost(f"{shown(url)} answered HTTP {status}", retry_after(error.headers))
    try:
        async with asyncio.timeout(TIMEOUT):
            return await _asked_again(http, url, codec, headers)
    except TimeoutError:
        return refusal(f"{shown(url)} refused the connection with HTTP {status}", _CODES.get(status), status=status)
    except (OSError, aiohttp.ClientError) as broken:
        return Lost(f"{shown(url)} refused the connection with HTTP {status}, then: {what_broke(broken)}")


async def _asked_again(
    http: aiohttp.ClientSession, url: URL, codec: Codec, headers: Mapping[str, str]
) -> Lost | Refused:
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Protocol": codec.subprotocol,
    }
    response = await http.get(url, headers={**headers, **upgrade})
    try:
        status = response.status
        if status < 400 or status >= 500 or status in _RETRIED:
            return Lost(f"{shown(url)} refused the connection, but no longer did a moment later")
        text, code = said(await response.read(), "this is not the answer of a Turnwire gateway")
    finally:
        response.close()
    code = code or _CODES.get(status)
    return refusal(f"{shown(url)} refused the connection (HTTP {status}): {text}", code, status=status)


def retry_after(headers: Mapping[str, str] | None) -> float | None:
    """Return the seconds of a `Retry-After` header; None without one, or if it is a date."""
    text = headers.get("Retry-After", "") if headers is not None else ""
    return float(text) if text.isascii() and text.isdigit() else None
