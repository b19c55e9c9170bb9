"""Whatever the route, a large body waits for its turn before it is decoded."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request

from tests.support.passes import Passes
from turnwire.gateway.http.body import BodyReader
from turnwire.gateway.turns import Turns
from turnwire.protocol.messages import Limits


def request_of(body: bytes, client: str) -> web.Request:
    payload = StreamReader(Mock(), 2**20, loop=asyncio.get_running_loop())
    payload.feed_data(body)
    payload.feed_eof()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "From": client}
    return make_mocked_request("PATCH", "/", headers=headers, payload=payload)


def client_of(request: web.Request) -> str:
    return request.headers["From"]


@pytest.mark.parametrize(("size", "most"), [(1_000, 50), (20_000, 3), (500_000, 1)])
async def test_in_each_pass_bodies_are_let_through_by_their_size(size: int, most: int) -> None:
    passes = Passes()
    bodies = BodyReader(Limits(), 1.0, Turns(passes.clock), client_of)
    body = b'{"a":"' + b"x" * size + b'"}'

    async def read() -> None:
        assert await bodies.read(request_of(body, "c")) == body
        passes.done()

    with passes:
        await asyncio.gather(*(read() for _ in range(50)))
    assert passes.work.total() == 50
    assert passes.most == most


async def test_the_bodies_of_one_client_do_not_keep_that_of_another_waiting() -> None:
    bodies, order = BodyReader(Limits(), 1.0, Turns(), client_of), list[str]()

    async def read(size: int, client: str) -> None:
        await bodies.read(request_of(b"1" * size, client))
        order.append(client)

    await asyncio.gather(
        *(read(500_000, "many") for _ in range(50)), *(read(size, "one") for size in (10_000, 500_000))
    )
    assert order.index("one") == 0
    assert order[1:3].count("one") == 1
