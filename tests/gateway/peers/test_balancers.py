"""nginx, HAProxy and Caddy in front of two gateways, with the documentation's sample files as they stand."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.gateway.peers.conftest import StartPeers
from tests.support.balancer import Balancer, running
from tests.support.gateways import new_event, new_id
from tests.support.sockets import until

pytestmark = pytest.mark.e2e


async def stream_a_call(http: aiohttp.ClientSession, url: str) -> None:
    """Publish, subscribe, follow and read a session, over connections that may each go to either gateway."""
    session_id = new_id("s")
    async with (
        http.ws_connect(f"{url}/sessions/{session_id}/publish?language=en") as bot,
        http.ws_connect(f"{url}/subscribe") as board,
    ):
        assert (await bot.receive_json())["type"] == "opened"
        await board.send_json({"type": "subscribe", "ref": "r", "sessionId": session_id, "afterSeq": 0})
        while (await board.receive_json())["type"] != "caughtUp":
            pass
        headers = {"Accept": "text/event-stream"}
        async with http.get(f"{url}/sessions/{session_id}/events", headers=headers) as stream:
            await bot.send_json({"type": "append", "events": [new_event("a"), new_event("b")]})
            assert (await bot.receive_json())["type"] == "ack"
            while (message := await board.receive_json())["type"] != "events":
                pass
            assert message["events"][0]["eventId"] == "a"
            async for line in stream.content:
                if line.startswith(b"data: ") and json.loads(line[6:]).get("eventId") == "b":
                    break
        async with http.get(f"{url}/sessions/{session_id}") as response:
            assert [event["eventId"] for event in (await response.json())["events"]] == ["a", "b"]


@pytest.mark.parametrize("name", ["nginx.conf", "haproxy.cfg", "Caddyfile"])
async def test_each_sample_configuration_serves_sockets_streams_and_rest_over_tls_under_a_prefix(
    start_peers: StartPeers, tmp_path: Path, certificate: tuple[Path, Path], name: str
) -> None:
    ports = [gateway.port for gateway in await start_peers(2, trusted_proxies="127.0.0.1")]
    balancer = Balancer(tmp_path, ports, certificate)
    trusted = ssl.create_default_context(cafile=certificate[1])
    async with running(balancer, name), aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as http:
        for url in balancer.urls():
            async with asyncio.timeout(20):
                await stream_a_call(http, url)
                async with http.post(f"{url}/sessions", json={"sessionId": "a/b", "language": "en"}) as response:
                    assert response.status == 200
                async with http.get(URL(f"{url}/sessions/-?sessionId=a%2Fb", encoded=True)) as response:
                    assert (await response.json())["sessionId"] == "a/b"
                stream = f"{url}/streams/{new_id('s')}"
                async with http.put(stream, skip_auto_headers=["Content-Type"]) as response:
                    assert (response.status, response.headers["Location"]) == (201, stream)


@pytest.mark.parametrize(("name", "drain_delay"), [("nginx.conf", 0), ("haproxy.cfg", 0), ("Caddyfile", 2)], ids=str)
async def test_no_call_is_refused_while_one_of_two_gateways_goes_away(
    start_peers: StartPeers, tmp_path: Path, certificate: tuple[Path, Path], name: str, drain_delay: float
) -> None:
    gateways = await start_peers(2, drain_delay=drain_delay)
    balancer = Balancer(tmp_path, [gateway.port for gateway in gateways], certificate)
    statuses: list[int] = []
    gone = asyncio.Event()

    async def ask(http: aiohttp.ClientSession, number: int) -> None:
        left = 20
        while left:
            body = {"sessionId": f"{name}-{number}-{len(statuses) % 40}", "language": "en"}
            async with http.post(f"{balancer.urls()[0]}/sessions", json=body) as response:
                statuses.append(response.status)
            left -= gone.is_set()

    async with running(balancer, name), aiohttp.ClientSession() as http:
        asking = asyncio.gather(*(ask(http, number) for number in range(4)))
        await until(lambda: len(statuses) > 20, "some answers")
        await gateways[0].gateway.leave()
        await gateways[0].stop()
        gone.set()
        await asking
    assert set(statuses) <= {200, 201}
