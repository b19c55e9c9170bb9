"""What follows a request that cannot be parsed is dropped: not parsed, not copied, and not answered."""

from __future__ import annotations

import asyncio
from typing import cast
from unittest.mock import Mock

import pytest
from aiohttp import web

from tests.support.sockets import until
from turnwire.gateway.aiohttp_private import HttpProtocol, PlainServer
from turnwire.gateway.http import server
from turnwire.gateway.turns import Turns

LINES = b"".join(b"X-%d: y\r\n" % number for number in range(20_000))


class Answering:
    """A server whose handler never answers."""

    async def request_handler(self, _request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()


def connection() -> HttpProtocol:
    plain = PlainServer(web.Server(Answering().request_handler))
    own = {"head_timeout": 60.0, "arrivals": Mock(), "parsing": Turns().parsing}
    made = server._Server(plain.handle, own, **plain.options)()
    return cast("HttpProtocol", made)


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\n" + LINES,  # more headers than aiohttp takes
        b"GET / HTTP/1.1\r\nno header\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
    ],
)
async def test_the_rest_of_a_flood_is_not_even_parsed(start: bytes) -> None:
    """`RequestHandler._messages`, `web_protocol._ErrInfo`.

    When it fails without a change of ours: `is_broken` no longer sees aiohttp's note of a request that it could not
    parse. Without it, each further piece is parsed, fails, and leaves an error with a copy of the piece.
    """
    protocol = connection()
    protocol.connection_made(Mock(asyncio.Transport))
    assert not protocol.is_broken
    protocol.data_received(start)
    await until(lambda: protocol.is_broken, "the fault is found")  # a slow machine parses in slices
    heads = protocol.heads_read
    for _ in range(50):
        protocol.data_received(LINES)
    assert protocol.heads_read == heads
    protocol.connection_lost(None)
