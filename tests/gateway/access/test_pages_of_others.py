"""What foreign web pages, forms and DNS rebinding can do to a gateway on loopback without keys: nothing."""

from __future__ import annotations

import pytest
from aiohttp import WSServerHandshakeError

from tests.support.gateways import Gateway, StartGateway
from tests.support.sockets import publish_path
from turnwire.protocol.codec import SUBPROTOCOL_JSON

ORIGINS = ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1:1"]


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("path", ["/subscribe", publish_path("s", "en")])
async def test_a_foreign_page_can_open_no_websocket(gateway: Gateway, path: str, origin: str) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await gateway.client.ws_connect(gateway.url + path, headers={"Origin": origin})
    assert refused.value.status == 403


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("path", ["/sessions", "/sessions/s/events", "/sessions/s/complete", "/tokens", "/revocations"])
async def test_a_foreign_page_can_change_nothing(gateway: Gateway, path: str, origin: str) -> None:
    await gateway.create("s")
    await gateway.refused("POST", path, 403, headers={"Origin": origin}, json={"language": "en"})
    assert (await gateway.get("/sessions/s"))["status"] == "initiated"


async def test_a_browser_without_an_origin_header_is_refused_by_sec_fetch_site(gateway: Gateway) -> None:
    await gateway.create("s")
    headers = {"Sec-Fetch-Site": "cross-site"}
    await gateway.refused("POST", "/sessions/s/complete", 403, headers=headers)
    await gateway.refused("POST", "/sessions/s/complete", 403, headers={**headers, "Origin": "null"})


@pytest.mark.parametrize("host", ["rebind.example", "rebind.example:3000", "127.0.0.1.evil.example", "10.0.0.1"])
@pytest.mark.parametrize("path", ["/sessions", "/", "/docs", "/subscribe"])
async def test_a_request_under_a_foreign_host_name_gets_421(gateway: Gateway, path: str, host: str) -> None:
    await gateway.refused("GET", path, 421, headers={"Host": host})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:3000", "[::1]:3000", "LOCALHOST."])
async def test_a_request_under_a_loopback_name_is_answered(gateway: Gateway, host: str) -> None:
    await gateway.get("/sessions", headers={"Host": host})


async def test_health_probes_are_answered_under_any_host_name(gateway: Gateway) -> None:
    for path in ("/health/live", "/health/ready"):
        await gateway.get(path, headers={"Host": "10.1.2.3:3000"})


async def test_the_gateways_own_page_may_use_the_gateway(gateway: Gateway) -> None:
    headers = {"Origin": gateway.url, "Sec-Fetch-Site": "same-origin"}
    async with gateway.client.ws_connect(gateway.url + "/subscribe", headers=headers) as socket:
        assert not socket.closed
    await gateway.post("/sessions", {"language": "en"}, headers=headers)


async def test_only_origins_in_the_setting_may_use_the_gateway(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(allowed_origins="https://board.example")
    headers = {"Origin": "https://board.example"}
    async with gateway.request("GET", "/sessions", headers=headers) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "https://board.example"
    await gateway.post("/sessions", {"language": "en"}, headers=headers)
    url = gateway.url + "/subscribe"
    async with gateway.client.ws_connect(url, headers=headers, protocols=[SUBPROTOCOL_JSON]) as socket:
        assert socket.protocol == SUBPROTOCOL_JSON
    await gateway.refused("POST", "/sessions", 403, headers={"Origin": "https://board.example.org"}, json={})


@pytest.mark.parametrize("query", ["token=twk_hidden", "access_token=twk_hidden", "x=eyJhbGciOiJIUzI1NiJ9.e30.hidden"])
async def test_a_token_in_the_url_is_refused_and_not_repeated(
    gateway: Gateway, query: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = query.partition("=")[2]
    with caplog.at_level("DEBUG"):
        refused = await gateway.refused("GET", f"/sessions?{query}", 400)
    assert secret not in str(refused)
    assert secret not in caplog.text


async def test_refusals_check_host_then_origin_then_capacity(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_connections=1)
    async with gateway.client.ws_connect(gateway.url + "/subscribe"):
        everything = {"Host": "rebind.example", "Origin": "null"}
        for taken, status in ((None, 421), ("Host", 403), ("Origin", 503)):
            if taken is not None:
                everything.pop(taken)
            with pytest.raises(WSServerHandshakeError) as refused:
                await gateway.client.ws_connect(gateway.url + publish_path("nowhere", None), headers=everything)
            assert refused.value.status == status
