"""Everything private or undocumented that the gateway uses of aiohttp's WebSockets, as `aiohttp_private` does of its
server."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy

_DATA = (WSMsgType.TEXT, WSMsgType.BINARY)


def choose_websocket(request: web.BaseRequest) -> bool:
    """Return whether the request asks for an upgrade to `websocket`. If that is one of several protocols, the request
    asks for it alone from now on: aiohttp compares the whole value."""
    asked = request.headers.getall(hdrs.UPGRADE, ())
    if len(asked) == 1 and asked[0].lower() == "websocket":
        return True
    if "websocket" not in (each.strip().lower() for each in ",".join(asked).split(",")):
        return False
    headers = CIMultiDict(request.headers)
    headers[hdrs.UPGRADE] = "websocket"
    request._cache["headers"] = CIMultiDictProxy(headers)
    return True


async def _read(reader: Any, count: int) -> None:
    for _ in range(count):
        await reader.read()


class WebSocket(web.WebSocketResponse[bool]):
    """A WebSocket that leaves its transport open after the close frame; its owner closes it later. Closing it while the
    other side still sends would reset the connection, and the other side would lose the close frame."""

    def _close_transport(self) -> None:
        pass  # see above

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        """As aiohttp's, but forget what it met. The error's traceback refers to this socket: only the garbage collector
        would free the two, rarely, with all that had arrived and was not read."""
        try:
            return await super().close(code=code, message=message, drain=drain)
        finally:
            self._exception = None

    @property
    def waiting(self) -> int:
        """How many messages have arrived that have not been received."""
        return 0 if self._reader is None else len(self._reader._buffer)

    def received(self) -> Any:
        """Return the next data message if it has arrived already, else None: `receive` waits for the next message of
        any kind. Takes a third of the time of `receive`."""
        reader, is_over = self._reader, self._closing or self._closed
        if reader is None or not reader._buffer or reader._buffer[0][0].type not in _DATA or is_over:
            return None
        try:
            reader.read().send(None)
        except StopIteration as read:
            return read.value
        raise RuntimeError("a reader that holds a message waited for one")

    def arrived(self, kind: WSMsgType, most: int, size: int) -> list[bytes]:
        """Return the next messages of this kind that have arrived, `most` at most, and of this size together. They stay
        until `drop`."""
        reader = self._reader
        if reader is None or not reader._buffer or self._closing or self._closed:
            return []
        found = []
        for message, length in islice(reader._buffer, max(0, most)):
            size -= length
            if message.type is not kind or size < 0:
                break
            found.append(message.data)
        return found

    def drop(self, count: int) -> None:
        """Drop this many messages that have arrived."""
        assert self._reader is not None
        try:
            _read(self._reader, count).send(None)
        except StopIteration:
            return
        raise RuntimeError("fewer messages than that have arrived")

    async def read_out(self) -> None:
        """Read up to the other side's close frame, after `close`. aiohttp does so by itself, unless a `receive` was
        under way when the socket was closed."""
        if self._closing and self._reader is not None:
            with suppress(Exception):  # any error ends the wait as well
                while (await self._reader.read()).type is not WSMsgType.CLOSE:
                    pass  # nobody asks any more what came before it
