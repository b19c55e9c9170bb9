"""The door in front of a real server, tested with real requests and sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSServerHandshakeError, web

from tests.support.doors import KEY, start
from turnwire.gateway.access.access import Access
from turnwire.gateway.access.asking import asked_of
from turnwire.gateway.http.error_answers import error_answer
from turnwire.gateway.running.routes import Handler
from turnwire.protocol.codec import CODECS
from turnwire.protocol.errors import TurnwireError

BEARER = {"Authorization": f"Bearer {KEY}"}


def guarded_app(access: Access) -> web.Application:
    """Answers with the id of the admitted principal, by REST at /sessions and over a socket at /subscribe."""
    who = web.RequestKey("who", str)

    @web.middleware
    async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            request[who] = (await access.door.admit(asked_of(request))).id
        except TurnwireError as error:
            return error_answer(request, error)
        return await handler(request)

    async def rest(request: web.Request) -> web.Response:
        return web.Response(text=request[who])

    async def socket(request: web.Request) -> web.WebSocketResponse:
        opened = web.WebSocketResponse(protocols=tuple(CODECS))
        await opened.prepare(request)
        await opened.send_str(request[who])
        await opened.close()
        return opened

    app = web.Application(middlewares=[door])
    app.router.add_get("/sessions", rest)
    app.router.add_get("/health/live", rest)
    app.router.add_get("/subscribe", socket)
    return app


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A server behind the door, on loopback."""
    runner = web.AppRunner(guarded_app(await start(tmp_path)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_real_request_with_a_key_is_accepted(client: aiohttp.ClientSession, url: str) -> None:
    async with client.get(f"{url}/sessions", headers=BEARER) as answer:
        assert (answer.status, await answer.text()) == (200, "key:bot")


async def test_a_real_request_without_a_key_gets_the_error_envelope_and_a_challenge(
    client: aiohttp.ClientSession, url: str
) -> None:
    async with client.get(f"{url}/sessions") as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert (await answer.json())["code"] == "unauthenticated"


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "rebind.example"}, 421), ({"Host": "a b"}, 400), ({"Authorization": "Basic dTpw"}, 401)],
)
async def test_real_requests_with_wrong_headers_are_refused(
    client: aiohttp.ClientSession, url: str, headers: dict[str, str], status: int
) -> None:
    async with client.get(f"{url}/sessions", headers={**BEARER, **headers}) as answer:
        assert answer.status == status
    async with client.get(f"{url}/health/live", headers=headers) as answer:
        assert answer.status == 200


async def test_a_key_in_the_url_is_refused_and_not_repeated(client: aiohttp.ClientSession, url: str) -> None:
    async with client.get(f"{url}/sessions?token={KEY}", headers=BEARER) as answer:
        assert answer.status == 400
        assert KEY not in await answer.text()


async def test_a_browsers_websocket_gets_its_subprotocol_back_and_never_the_key(
    client: aiohttp.ClientSession, url: str
) -> None:
    offered = ["turnwire.v1.json", f"turnwire.bearer.{KEY}"]
    async with client.ws_connect(f"{url}/subscribe", protocols=offered, headers={"Origin": url}) as socket:
        assert socket.protocol == "turnwire.v1.json"
        assert await socket.receive_str() == "key:bot"


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a_websocket_from_another_origin_is_refused_even_with_a_key(
    client: aiohttp.ClientSession, url: str, origin: str
) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await client.ws_connect(f"{url}/subscribe", headers={**BEARER, "Origin": origin})
    assert refused.value.status == 403
