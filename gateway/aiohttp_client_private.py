"""Everything private or undocumented that the gateway uses of aiohttp's client, as `aiohttp_private` does of its
server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from socket import AF_INET, AddressFamily
from typing import Any

from aiohttp import ClientError, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

_ANSWER_BYTES, _BODY_BYTES, _BODY_LINES, _ANSWER_SLICE, _ANSWER_HEADS = 16 * 1024, 4096, 64, 256, 8
"""The most that a brief client parses of an answer: bytes, bytes and lines of its body, bytes at once, and heads,
interim ones included. A chunk has two lines or more, and takes 3 µs."""


class TooMuch(ClientError):
    """An answer is longer than a brief client reads."""


class _BriefAnswers(ResponseHandler):
    """One connection of a client. It parses a little of each answer, a slice at a time, and leaves the rest unread."""

    _left, _lines_left = _ANSWER_BYTES, _BODY_LINES

    def set_response_params(self, **options: Any) -> None:
        self._left, self._lines_left = _ANSWER_BYTES, _BODY_LINES
        super().set_response_params(**options)

    def data_received(self, data: bytes) -> None:
        for at in range(0, len(data), _ANSWER_SLICE):
            piece = data[at : at + _ANSWER_SLICE]
            if self._payload is not None and not self._payload.is_eof():
                self._left = min(self._left, _BODY_BYTES)
                self._lines_left -= piece.count(b"\n")
            self._left -= len(piece)
            if min(self._left, self._lines_left) < 0 or len(self) > _ANSWER_HEADS:
                self.abort()
                self.set_exception(TooMuch("its answer is too long"))
                return
            super().data_received(piece)


class BriefConnector(TCPConnector):
    """Makes the connections of a client that needs little of an answer besides its status. A socket hands over up to
    256 KiB, which may be thousands of heads or chunks, and aiohttp would parse all of them at once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = partial(_BriefAnswers, loop=self._loop)  # type: ignore[assignment]  # a subclass's


class Resolver(AbstractResolver):
    """Finds the addresses of names by a function of ours."""

    def __init__(self, look_up: Callable[[str, int, AddressFamily], Awaitable[list[ResolveResult]]]) -> None:
        self._look_up = look_up

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        return await self._look_up(host, port, family)

    async def close(self) -> None:
        """Do nothing."""
