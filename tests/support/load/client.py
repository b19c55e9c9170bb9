"""Clients that put a gateway under load: where they connect, and how they reconnect until their work is done."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from random import Random
from typing import Any

import aiohttp
from msgspec import Struct, field

from turnwire.protocol.codec import JSON, MSGPACK, Codec

RETRY_SECONDS = (0.05, 0.4)
ANY = "any"


class Target(Struct):
    """Where clients connect at present. Whoever moves the gateway changes it."""

    url: str = "http://127.0.0.1:9"
    """Such as `http://127.0.0.1:34567`."""
    process: str = "none"
    """Names the gateway process; ANY behind a balancer, which chooses one for each connection."""

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    def choose(self) -> Target:
        """Choose the gateway for the next connection or request."""
        return self


class Spread(Target):
    """Clients connect to any of several gateways."""

    random: Random = field(default_factory=Random)
    among: list[Target] = field(default_factory=list)

    def choose(self) -> Target:
        return self.random.choice(self.among) if self.among else self


class Client:
    """Makes connections until the work is done. `random` decides everything that is left open."""

    def __init__(self, http: aiohttp.ClientSession, target: Target, name: str, random: Random) -> None:
        self.http = http
        self.target = target
        self.name = name
        self.random = random
        self.codec: Codec = random.choice([JSON, MSGPACK])
        self.closes: list[int | None] = []
        """How each connection ended: the close code, or None for one that broke or was never made."""
        self.news = asyncio.Event()
        self.process = "none"
        """The gateway process that the last connection was made to."""
        self._connected = 0
        self._ws: aiohttp.ClientWebSocketResponse[Any] | None = None

    async def connect(self, path: str) -> aiohttp.ClientWebSocketResponse[Any]:
        where = self.target.choose()
        self.process = where.process
        if self.process == ANY:
            self._connected += 1
            self.process = f"{ANY}-{self.name}-{self._connected}"  # two connections with the same process prove nothing
        self._ws = await self.http.ws_connect(
            where.ws_url + path,
            protocols=[self.codec.subprotocol],
            max_msg_size=0,
            timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
        )
        return self._ws

    def drop(self) -> None:
        """Break the connection, if there is one, without a closing handshake."""
        transport = None if self._ws is None or self._ws.closed else self._ws.get_extra_info("socket")
        if transport is not None and transport.fileno() >= 0:
            with socket.socket(fileno=os.dup(transport.fileno())) as connection, suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    async def send(self, ws: aiohttp.ClientWebSocketResponse[Any], message: Any) -> None:
        frame = self.codec.encode(message)
        await (ws.send_str(frame.decode()) if self.codec.text else ws.send_bytes(frame))

    async def pause(self) -> None:
        await asyncio.sleep(self.random.uniform(*RETRY_SECONDS))

    async def until(self, condition: Any, timeout: float, what: str) -> None:
        """Wait for news until the condition holds. Raises TimeoutError with a text about what did not happen."""
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            raise TimeoutError(f"{self.name}: not within {timeout} s: {what}") from None


def frame_of(message: aiohttp.WSMessage) -> bytes | None:
    if message.type is aiohttp.WSMsgType.TEXT:
        return str(message.data).encode()
    return bytes(message.data) if message.type is aiohttp.WSMsgType.BINARY else None
