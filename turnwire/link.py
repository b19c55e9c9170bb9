"""One WebSocket to the gateway: opened, kept alive, and ended in one of two ways: for good, or to be opened again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import WSMsgType
from yarl import URL

from turnwire.errors import Refused, final_close, refusal
from turnwire.protocol.codec import JSON, MSGPACK, Codec
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.messages import Shape

HANDSHAKE_TIMEOUT = 10.0
CLOSE_TIMEOUT = 2.0
QUIET = 30.0
"""Seconds without any frame after which the gateway is pinged; after as many more the connection is given up."""
MAX_MESSAGE = 64 * 1024 * 1024

_CODECS = {"json": JSON, "msgpack": MSGPACK}
_HANDSHAKE_CODES = {
    401: ErrorCode.UNAUTHENTICATED,
    403: ErrorCode.FORBIDDEN,
    404: ErrorCode.NOT_FOUND,
    409: ErrorCode.SESSION_ENDED,
}
_RETRIED = {408, 425, 429}


class Lost(Exception):
    """The connection is gone or could not be made; opening another one may help. `retry_after` in seconds, if asked."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


def codec_named(name: str) -> Codec:
    """`json` or `msgpack`. Raises ValueError for another."""
    try:
        return _CODECS[name]
    except KeyError:
        raise ValueError(f"the codec must be one of {', '.join(_CODECS)}, not {name!r}") from None


def http_session() -> aiohttp.ClientSession:
    """A session of our own, for when the user brings none. As many connections at once as there are publishers."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


@asynccontextmanager
async def borrowed(http: aiohttp.ClientSession | None) -> AsyncIterator[aiohttp.ClientSession]:
    """The user's session, left open, or one of our own, closed at the end."""
    if http is not None:
        yield http
        return
    async with http_session() as own:
        yield own


class Link:
    """An open connection. One task receives, one sends; they may be the same."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool], codec: Codec) -> None:
        self._socket = socket
        self.codec = codec
        self.retry_after: float | None = None
        """Seconds the gateway asked to wait before a reconnect; set by who reads its goaway."""
        self._pinged = False

    async def send(self, message: Shape) -> None:
        """Raises Lost."""
        try:
            await self._socket.send_frame(
                self.codec.encode(message), WSMsgType.TEXT if self.codec.text else WSMsgType.BINARY
            )
        except (OSError, aiohttp.ClientError) as error:
            raise Lost(f"the connection broke: {what_broke(error)}", self.retry_after) from None

    async def receive(self) -> bytes:
        """The next frame. Answers pings on the way. Raises Lost, or Refused when the gateway closed for good."""
        while True:
            try:
                message = await self._socket.receive(QUIET)
            except TimeoutError:
                await self._after_silence()
                continue
            self._pinged = False
            if message.type is WSMsgType.BINARY or message.type is WSMsgType.TEXT:
                data = message.data
                return data if isinstance(data, bytes) else data.encode()
            if message.type is WSMsgType.PING:
                await self._control(message.data, WSMsgType.PONG)
            elif message.type is not WSMsgType.PONG:
                raise self._ended(message.type, message.data, message.extra)

    async def _after_silence(self) -> None:
        if self._pinged:
            raise Lost("the gateway has gone silent", self.retry_after)
        self._pinged = True
        await self._control(b"", WSMsgType.PING)

    async def _control(self, data: bytes, kind: WSMsgType) -> None:
        try:
            await self._socket.send_frame(data, kind)
        except (OSError, aiohttp.ClientError) as error:
            raise Lost(f"the connection broke: {what_broke(error)}", self.retry_after) from None

    def _ended(self, kind: WSMsgType, data: Any, extra: str | None) -> Refused | Lost:
        if kind is WSMsgType.CLOSE:
            reason = extra or ""
            return final_close(data, reason) or Lost(f"closed with {data} {reason}".rstrip(), self.retry_after)
        if kind is WSMsgType.ERROR:
            return Lost(f"the connection broke: {data}", self.retry_after)
        return Lost("the connection broke", self.retry_after)


@asynccontextmanager
async def open_link(http: aiohttp.ClientSession, url: URL, codec: Codec) -> AsyncIterator[Link]:
    """Connects, and closes when the block is left. Raises Lost, or Refused when the gateway says no for good."""
    try:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT):
            socket = await http.ws_connect(
                url,
                protocols=[codec.subprotocol],
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
                autoping=False,
                max_msg_size=MAX_MESSAGE,
                decode_text=False,
            )
    except aiohttp.WSServerHandshakeError as error:
        raise _refused_handshake(error, url) from None
    except aiohttp.ClientConnectorCertificateError as error:
        raise Refused(f"the certificate of {url.host} is not trusted: {error}") from None
    except TimeoutError:
        raise Lost(f"{url.origin()} did not answer within {HANDSHAKE_TIMEOUT:g} s") from None
    except (OSError, aiohttp.ClientError) as error:
        raise Lost(f"cannot connect to {url.origin()}: {what_broke(error)}") from None
    try:
        if socket.protocol != codec.subprotocol:
            raise Refused(f"{url.origin()} does not speak {codec.subprotocol}: is it a Turnwire gateway?")
        yield Link(socket, codec)
    finally:
        await socket.close()


def what_broke(error: Exception) -> str:
    """A connection's error in the words of the system, without the address, which those who raise it name."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "there is no host of that name"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


def _refused_handshake(error: aiohttp.WSServerHandshakeError, url: URL) -> Lost | Refused:
    status = error.status
    if status >= 500 or status in _RETRIED:
        return Lost(f"{url.origin()} answered HTTP {status}", retry_after(error.headers))
    code = _HANDSHAKE_CODES.get(status)
    if code is ErrorCode.NOT_FOUND:
        return refusal(f"there is no such session at {url.origin()} (HTTP 404)", code, status=status)
    return refusal(f"{url.origin()} refused the connection with HTTP {status}", code, status=status)


def retry_after(headers: Mapping[str, str] | None) -> float | None:
    """Seconds of a `Retry-After` header; None when there is none, or it is a date."""
    text = headers.get("Retry-After", "") if headers is not None else ""
    return float(text) if text.isascii() and text.isdigit() else None
