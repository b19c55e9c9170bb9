"""Closed connections and evicted sessions are freed at once, because the garbage collector runs rarely."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest
from aiohttp import web

from tests.support.gateways import Gateway, StartGateway, new_id
from tests.support.sockets import RawSocket, client_frame, publish_path, until
from turnwire.gateway.aiohttp_private import HttpProtocol
from turnwire.gateway.aiohttp_websocket_private import WebSocket
from turnwire.gateway.connections.connection import Connection
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.turns import Turns


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def existing(kind: type) -> int:
    return sum(issubclass(type(each), kind) for each in gc.get_objects())


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("path", ["/subscribe", publish_path("s", "en")])
async def test_a_connection_that_is_closed_leaves_nothing_behind(gateway: Gateway, path: str) -> None:
    before = existing(Connection)
    raw = await RawSocket.connect(gateway, path)
    await raw.send({"type": "ping", "ref": 1})
    while (await raw.receive())["type"] != "pong":
        pass
    assert existing(Connection) == before + 1
    raw.close()
    await until(lambda: existing(Connection) == before, "the end of the connection")


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("path", ["/subscribe", publish_path("s", "en")])
async def test_a_connection_that_is_reset_while_much_waits_leaves_nothing_behind(gateway: Gateway, path: str) -> None:
    before = existing(WebSocket)
    raw = await RawSocket.connect(gateway, path)
    raw.write_at_once(client_frame(b'{"type":"ping","ref":1}') * 2000)
    await raw.receive()
    raw.abort()
    await until(lambda: existing(WebSocket) == before, "the end of the connection")


_RAW = "Host: localhost\r\n"
_UPGRADE = _RAW + (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


async def sent(gateway: Gateway, text: str) -> asyncio.StreamWriter:
    """Send this text on a new connection."""
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(text.encode())
    return writer


@pytest.mark.usefixtures("uncollected")
async def test_a_socket_that_is_reset_while_it_opens_leaves_nothing_behind(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = existing(HttpProtocol)
    turn = asyncio.Event()
    monkeypatch.setattr(Turns, "enter", lambda _, spent: turn.wait())
    writer = await sent(gateway, f"GET {publish_path('s', 'en')} HTTP/1.1\r\n{_UPGRADE}\r\n")
    await until(lambda: "s" in gateway.live, "the claim")
    writer.transport.abort()
    await until(lambda: not gateway.gateway.arrivals, "the end of the TCP connection")
    turn.set()
    await until(lambda: existing(HttpProtocol) == before, "the end of the connection")


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("ends_with", ["a reset", "an end"])
async def test_a_body_that_breaks_off_leaves_nothing_behind(gateway: Gateway, ends_with: str) -> None:
    before = existing(HttpProtocol), existing(web.Request)
    json = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    writer = await sent(gateway, f"POST /sessions HTTP/1.1\r\n{_RAW}{json}\r\n1\r\n{{\r\n")
    await until(lambda: existing(web.Request) > before[1], "the request")
    if ends_with == "an end":
        writer.close()
    else:
        writer.transport.abort()
    await until(lambda: (existing(HttpProtocol), existing(web.Request)) == before, "the end of the connection")


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("path", ["/subscribe", "/nowhere"])
async def test_a_connection_without_a_place_leaves_nothing_behind(start_gateway: StartGateway, path: str) -> None:
    gateway = await start_gateway(max_connections=1)
    holder = await RawSocket.connect(gateway, "/subscribe")
    before = existing(HttpProtocol), existing(web.Request)
    head = f"GET {path} HTTP/1.1\r\n{_UPGRADE}\r\n"
    assert b" 503 " in await gateway.send_raw(head.encode())
    await until(lambda: (existing(HttpProtocol), existing(web.Request)) == before, "the end of the connection")
    holder.close()


@pytest.mark.usefixtures("uncollected")
async def test_a_session_that_is_evicted_leaves_nothing_behind(gateway: Gateway) -> None:
    before = existing(LiveSession)
    session_id = await gateway.create(new_id("s"))
    await gateway.fill(session_id, 3)
    await until(lambda: gateway.live[session_id].idle, "the end of all work on the session")
    assert gateway.parts.sessions.evict(gateway.live[session_id])
    await until(lambda: existing(LiveSession) == before, "the end of the session")
