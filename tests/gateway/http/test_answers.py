"""JSON answers: a head that was made in advance says what aiohttp would have said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import time

import pytest
from aiohttp import web

from turnwire.gateway.aiohttp_private import Answer
from turnwire.gateway.config import Config
from turnwire.gateway.http.answers import Heads, json_answer
from turnwire.gateway.http.headers import add_headers, common_headers, is_private
from turnwire.protocol.bodies import CommandAnswer

CONFIG = Config(hsts=600, allowed_origins="https://a.example")
Exchange = tuple[int, dict[str, str], bytes]


class Answering:
    """An application that answers `/sessions` and `/health` as the gateway does."""

    def __init__(self, *, ahead: bool) -> None:
        """`ahead`: whether heads are made in advance."""
        self.ready: list[bool] = []
        self._heads = Heads(common_headers(CONFIG), is_private)
        self._ahead = ahead
        self.app = web.Application()
        for path in ("/sessions", "/health"):
            self.app.router.add_get(path, self._answer)
        add_headers(self.app, CONFIG)
        self.runner = web.AppRunner(self.app)

    async def start(self) -> int:
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        return int(self.runner.addresses[0][1])

    async def _answer(self, request: web.Request) -> web.Response:
        size = int(request.query.get("size", "1"))
        replayed, status = "replayed" in request.query, int(request.query.get("status", "200"))
        answer = json_answer(CommandAnswer("c", "requested", "x" * size), status=status, replayed=replayed)
        if "own" in request.query:
            answer.headers["Cache-Control"] = "max-age=1"
        if "last" in request.query:
            answer.force_close()
        if self._ahead:
            self.ready.append(self._heads.make_ready(request, answer))
        return answer


@pytest.fixture
async def both() -> AsyncIterator[tuple[Answering, Answering]]:
    pair = Answering(ahead=True), Answering(ahead=False)
    yield pair
    for each in pair:
        await each.runner.cleanup()


async def ask(answering: Answering, head: str) -> Exchange:
    """Return status, headers and body of the answer to a request."""
    port = await answering.start() if not answering.runner.addresses else int(answering.runner.addresses[0][1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}\r\nHost: localhost\r\n\r\n".replace("\n", "\r\n").replace("\r\r", "\r").encode())
    async with asyncio.timeout(10):
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        headers = dict(line.split(": ", 1) for line in lines)
        assert len(headers) == len(lines)
        body = b"" if head.startswith("HEAD") else await reader.readexactly(int(headers["Content-Length"]))
    writer.close()
    assert status.startswith("HTTP/1.1 200 OK" if " 200 " in status else "HTTP/1.1 201 Created")
    return int(status.split()[1]), headers, body


def undated(answer: Exchange) -> Exchange:
    status, headers, body = answer
    assert headers["Date"].endswith(" GMT")
    return status, {name: value for name, value in headers.items() if name != "Date"}, body


@pytest.mark.parametrize("query", ["", "?replayed", "?status=201", "?status=201&replayed", "?size=9000"])
@pytest.mark.parametrize("path", ["/sessions", "/health"])
async def test_a_head_made_in_advance_is_the_one_that_aiohttp_makes(
    both: tuple[Answering, Answering], path: str, query: str
) -> None:
    ahead, plain = [undated(await ask(each, f"GET {path}{query} HTTP/1.1")) for each in both]
    assert ahead == plain
    assert both[0].ready == [True]


@pytest.mark.parametrize(
    "head",
    [
        "HEAD /sessions HTTP/1.1",
        "GET /sessions?own HTTP/1.1",
        "GET /sessions?last HTTP/1.1",
        "GET /sessions?size=20000 HTTP/1.1",
        "GET /sessions HTTP/1.1\nConnection: close",
        "GET /sessions HTTP/1.1\nOrigin: https://a.example",
        "GET /sessions HTTP/1.1\nOrigin: https://b.example",
    ],
)
async def test_an_answer_unlike_most_others_gets_its_head_from_aiohttp(
    both: tuple[Answering, Answering], head: str
) -> None:
    ahead, plain = [undated(await ask(each, head)) for each in both]
    assert ahead == plain
    assert both[0].ready == [False]


async def test_the_date_header_is_the_time_of_the_answer(
    monkeypatch: pytest.MonkeyPatch, both: tuple[Answering, Answering]
) -> None:
    now = time()
    dates = []
    for later in (0.0, 0.0, 2.0, 3600.0):
        monkeypatch.setattr("turnwire.gateway.http.answers.time.time", lambda later=later: now + later)
        dates.append((await ask(both[0], "GET /health HTTP/1.1"))[1]["Date"])
    assert dates[0] == dates[1]
    assert len(set(dates)) == 3


def test_whoever_takes_the_headers_of_an_answer_may_change_them() -> None:
    answer = json_answer(CommandAnswer("c", "requested"))
    assert isinstance(answer, Answer)
    assert answer.kind == "json"
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.kind is None
