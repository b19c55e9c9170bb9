"""One WebSocket to the gateway. It ends with Refused, for good, or with Lost, to be opened again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
from aiohttp import WSMsgType
from yarl import URL

from turnwire.connecting.backoff import Backoff
from turnwire.connecting.causes import shown, tls_fault, what_broke
from turnwire.connecting.handshake import Lost, refused_handshake
from turnwire.connecting.tokens import TokenSource
from turnwire.errors import Refused, TokenError, final_close
from turnwire.protocol.codec import JSON, MSGPACK, Codec
from turnwire.protocol.errors import CloseCode
from turnwire.protocol.messages import Shape
from turnwire.protocol.token_messages import Auth

log = logging.getLogger("turnwire")

HANDSHAKE_TIMEOUT = 10.0
CLOSE_TIMEOUT = 2.0
QUIET = 30.0
"""The longest silence, in seconds, after which the connection is given up."""
QUIET_PINGS = 1.5
"""The longest silence, in ping intervals of the gateway, if that is shorter."""
PROBE = 0.8
"""The share of that time after which the client pings: the gateway may be configured to ping less often."""
MAX_MESSAGE = 64 * 1024 * 1024

_CODECS = {"json": JSON, "msgpack": MSGPACK}

__all__ = ["Link", "Lost", "borrowed", "codec_named", "http_session", "open_link"]


def codec_named(name: str) -> Codec:
    """Return the codec named `json` or `msgpack`. Raises ValueError for another name."""
    try:
        return _CODECS[name]
    except KeyError:
        raise ValueError(f"the codec must be one of {', '.join(_CODECS)}, not {name!r}") from None


def http_session() -> aiohttp.ClientSession:
    """Make a session for a user who brings none, with no limit on concurrent connections."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


@asynccontextmanager
async def borrowed(http: aiohttp.ClientSession | None) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield the user's session, which stays open, or a new one, which is closed at the end."""
    if http is not None:
        yield http
        return
    async with http_session() as own:
        yield own


class Link:
    """An open connection. One task receives, and one sends; they may be the same."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool], codec: Codec, token: TokenSource) -> None:
        self._socket = socket
        self.codec = codec
        self.retry_after: float | None = None
        """Seconds that the gateway asked to wait before a reconnect. The reader of its goaway sets it."""
        self._quiet = QUIET
        self._pinged = False
        self._token = token
        self._renewal: asyncio.Task[None] | None = None

    def pings_come_every(self, seconds: float) -> None:
        """Notice a silence sooner, because the gateway pings every so many seconds."""
        self._quiet = min(QUIET, QUIET_PINGS * seconds)

    async def send(self, message: Shape) -> None:
        """Send a message. Raises Lost."""
        await self._write(self.codec.encode(message), WSMsgType.TEXT if self.codec.text else WSMsgType.BINARY)

    async def receive(self) -> bytes:
        """Wait for the next frame, answering pings. Raises Lost, or Refused if the gateway closed for good."""
        while True:
            share = 1 - PROBE if self._pinged else PROBE
            try:
                message = await self._socket.receive(self._quiet * share)
            except TimeoutError:
                await self._after_silence()
                continue
            self._pinged = False
            if message.type is WSMsgType.BINARY or message.type is WSMsgType.TEXT:
                data = message.data
                return data if isinstance(data, bytes) else data.encode()
            if message.type is WSMsgType.PING:
                await self._control(message.data, WSMsgType.PONG, self._quiet)
            elif message.type is not WSMsgType.PONG:
                raise self._ended(message.type, message.data, message.extra)

    def renew_token(self) -> None:
        """Send the gateway a new token, if the source can give one, because the present one expires soon."""
        if self._token.can_renew and (self._renewal is None or self._renewal.done()):
            self._renewal = asyncio.create_task(self._renew(), name="token of a connection")

    async def end(self) -> None:
        """Stop all tasks of the connection. The socket is closed by its opener."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait({self._renewal})

    async def _renew(self) -> None:
        backoff = Backoff()
        while True:
            try:
                token = await self._token.fresh()
            except TokenError as error:
                log.warning("the token could not be renewed, trying again: %s", error)
                await asyncio.sleep(backoff.next_delay())
                continue
            if token is not None:
                with suppress(Lost):  # the receiving task notices it too
                    await self.send(Auth(token))
            return

    async def _after_silence(self) -> None:
        if self._pinged:
            raise self._lost("the gateway has gone silent")
        self._pinged = True
        await self._control(b"", WSMsgType.PING, self._quiet * (1 - PROBE))

    async def _control(self, data: bytes, kind: WSMsgType, seconds: float) -> None:
        """Send a control frame. Raises Lost, also if it cannot be written for `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._write(data, kind)
        except TimeoutError:
            raise self._lost("the gateway has gone silent") from None

    async def _write(self, data: bytes, kind: WSMsgType) -> None:
        try:
            await self._socket.send_frame(data, kind)
        except (OSError, aiohttp.ClientError) as error:
            raise self._lost(f"the connection broke: {what_broke(error)}") from None

    def _ended(self, kind: WSMsgType, data: Any, extra: str | None) -> Refused | Lost:
        if kind is WSMsgType.CLOSE:
            reason = extra or ""
            if data == CloseCode.TOKEN_EXPIRED and not self._token.is_fixed:
                return Lost("the token has expired", self.retry_after, announced=True)
            return final_close(data, reason) or self._lost(f"closed with {data} {reason}".rstrip())
        if kind is WSMsgType.ERROR:
            return self._lost(f"the connection broke: {data}")
        return self._lost("the connection broke")

    def _lost(self, reason: str) -> Lost:
        return Lost(reason, self.retry_after, announced=self.retry_after is not None)


@asynccontextmanager
async def open_link(http: aiohttp.ClientSession, url: URL, codec: Codec, token: TokenSource) -> AsyncIterator[Link]:
    """Connect, and close when the block is left. Raises Lost, or Refused if the gateway refuses for good."""
    socket = await _connected(http, url, codec, token)
    link = Link(socket, codec, token)
    try:
        if socket.protocol != codec.subprotocol:
            raise Refused(f"{shown(url)} does not speak {codec.subprotocol}: is it a Turnwire gateway?")
        yield link
    finally:
        await link.end()
        await _close(socket)


async def _close(socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
    """Close politely, or else abort: unsent data to a frozen gateway would keep the connection open forever."""
    connection = socket._response.connection
    transport = None if connection is None else connection.transport
    polite = False
    try:
        async with asyncio.timeout(2 * CLOSE_TIMEOUT):  # enough to write one frame and to read one
            await socket.close()
            polite = True
    except TimeoutError:
        log.info("a connection could not be closed politely")
    finally:
        if transport is not None and not polite:
            transport.abort()


async def _connected(
    http: aiohttp.ClientSession, url: URL, codec: Codec, token: TokenSource
) -> aiohttp.ClientWebSocketResponse[bool]:
    try:
        headers = await token.headers()
    except TokenError as error:
        raise Lost(str(error)) from None
    try:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT):
            return await http.ws_connect(
                url,
                protocols=[codec.subprotocol],
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
                autoping=False,
                headers=headers,
                max_msg_size=MAX_MESSAGE,
                decode_text=False,
            )
    except aiohttp.WSServerHandshakeError as error:
        refused = error
    except TimeoutError:
        raise Lost(f"{shown(url)} did not answer within {HANDSHAKE_TIMEOUT:g} s") from None
    except (OSError, aiohttp.ClientError) as error:
        fault = tls_fault(error)
        if fault is not None:
            raise Refused(f"cannot connect to {shown(url)}: {fault}") from None
        raise Lost(f"cannot connect to {shown(url)}: {what_broke(error)}") from None
    raise await refused_handshake(http, url, refused, codec, headers)
