"""Closed connections and evicted sessions are freed at once, because the garbage collector runs rarely."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.support.gateways import Gateway, new_id
from tests.support.sockets import RawSocket, client_frame, publish_path, until
from turnwire.gateway.aiohttp_websocket_private import WebSocket
from turnwire.gateway.connections.connection import Connection
from turnwire.gateway.live.live_session import LiveSession


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


@pytest.mark.usefixtures("uncollected")
async def test_a_session_that_is_evicted_leaves_nothing_behind(gateway: Gateway) -> None:
    before = existing(LiveSession)
    session_id = await gateway.create(new_id("s"))
    await gateway.fill(session_id, 3)
    await until(lambda: gateway.live[session_id].idle, "the end of all work on the session")
    assert gateway.parts.sessions.evict(gateway.live[session_id])
    await until(lambda: existing(LiveSession) == before, "the end of the session")
