"""nginx and HAProxy in front of two gateways, with the documentation's sample files as they stand."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.gateway.peers.conftest import StartPeers
from tests.support.gateways import Gateway, new_event, new_id
from tests.support.processes import ROOT
from tests.support.redis import free_port
from tests.support.sockets import until

pytestmark = pytest.mark.e2e
SAMPLES = ROOT / "docs" / "deploy"


class Balancer:
    """A proxy on its own ports, with our gateways and our certificate in place of the sample's."""

    def __init__(self, folder: Path, gateways: list[Gateway], certificate: tuple[Path, Path]) -> None:
        self.plain_port, self.tls_port = free_port(), free_port()
        self._folder = folder
        self._key, self._certificate = certificate
        self._places = {
            f"gateway-{number}:3000": f"127.0.0.1:{gateway.port}" for number, gateway in enumerate(gateways, start=1)
        }

    def urls(self) -> list[str]:
        plain, tls = f"http://localhost:{self.plain_port}", f"https://localhost:{self.tls_port}"
        return [plain, tls, f"{plain}/turnwire", f"{tls}/turnwire"]

    def command(self, name: str) -> list[str]:
        both = self._folder / "both.pem"
        both.write_text(self._certificate.read_text() + self._key.read_text())
        places = self._places | {
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.tls_port} ssl;",
            "/etc/nginx/tls/cert.pem": str(self._certificate),
            "/etc/nginx/tls/key.pem": str(self._key),
            "bind :80": f"bind 127.0.0.1:{self.plain_port}",
            "bind :443": f"bind 127.0.0.1:{self.tls_port}",
            "/etc/haproxy/tls/turnwire.pem": str(both),
        }
        text = (SAMPLES / name).read_text()
        for place, ours in places.items():
            text = text.replace(place, ours)
        config = self._folder / name
        config.write_text(text)
        if name == "haproxy.cfg":
            return ["haproxy", "-db", "-f", str(config)]
        rest = f"daemon off; error_log stderr; pid {self._folder}/nginx.pid;"
        return ["nginx", "-p", str(self._folder), "-c", str(config), "-g", rest]


@asynccontextmanager
async def running(balancer: Balancer, name: str) -> AsyncIterator[None]:
    command = balancer.command(name)
    program = shutil.which(command[0], path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert program is not None, f"{command[0]} is not installed: `make balancers` does that"
    process = await asyncio.create_subprocess_exec(program, *command[1:], stdin=subprocess.DEVNULL)
    try:
        async with aiohttp.ClientSession() as http:
            await until(lambda: process.returncode is None, "its start")
            async with asyncio.timeout(20):
                while not await answers(http, balancer):
                    await asyncio.sleep(0.05)
        yield
    finally:
        process.terminate()
        await process.wait()


async def answers(http: aiohttp.ClientSession, balancer: Balancer) -> bool:
    try:
        async with http.get(f"{balancer.urls()[0]}/health/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


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


@pytest.mark.parametrize("name", ["nginx.conf", "haproxy.cfg"])
async def test_each_sample_configuration_serves_sockets_streams_and_rest_over_tls_under_a_prefix(
    start_peers: StartPeers, tmp_path: Path, certificate: tuple[Path, Path], name: str
) -> None:
    balancer = Balancer(tmp_path, await start_peers(2), certificate)
    trusted = ssl.create_default_context(cafile=certificate[1])
    async with running(balancer, name), aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as http:
        for url in balancer.urls():
            async with asyncio.timeout(20):
                await stream_a_call(http, url)


@pytest.mark.parametrize("name", ["nginx.conf", "haproxy.cfg"])
async def test_no_call_is_refused_while_one_of_two_gateways_goes_away(
    start_peers: StartPeers, tmp_path: Path, certificate: tuple[Path, Path], name: str
) -> None:
    gateways = await start_peers(2)
    balancer = Balancer(tmp_path, gateways, certificate)
    statuses: list[int] = []

    async def ask(http: aiohttp.ClientSession, number: int) -> None:
        for n in range(50):
            body = {"sessionId": f"{name}-{number}-{n}", "language": "en"}
            async with http.post(f"{balancer.urls()[0]}/sessions", json=body) as response:
                statuses.append(response.status)

    async with running(balancer, name), aiohttp.ClientSession() as http:
        asking = asyncio.gather(*(ask(http, number) for number in range(4)))
        await until(lambda: len(statuses) > 20, "some answers")
        await gateways[0].stop()
        await asking
    assert set(statuses) <= {200, 201}
    assert len(statuses) == 200
