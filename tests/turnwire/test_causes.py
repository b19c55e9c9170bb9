"""Every connection problem raises an error of the library that names its true cause."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.support.gateways import Gateway
from tests.turnwire.certificates import self_signed
from turnwire import Client, Publisher, errors, follow_sessions, subscribe
from turnwire.connecting.causes import what_broke


async def publish(url: str) -> None:
    async with Publisher(url, "call", connect_timeout=2):
        pass


async def follow(url: str) -> None:
    async for _ in subscribe(url, "call", give_up_after=2):
        pass


async def watch(url: str) -> None:
    async for _ in follow_sessions(url, give_up_after=2):
        pass


async def ask(url: str) -> None:
    async with Client(url, timeout=2) as client:
        await client.get("call")


everything = pytest.mark.parametrize("use", [publish, follow, watch, ask])
Use = Callable[[str], Awaitable[None]]


@pytest.fixture
async def untrusted(tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a server with an untrusted certificate."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=self_signed(tmp_path))
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@everything
async def test_an_untrusted_certificate_is_named_as_the_cause(untrusted: str, use: Use) -> None:
    with pytest.raises(errors.Refused, match=r"certificate is not trusted: self.signed certificate"):
        await use(untrusted)


@everything
async def test_https_to_a_port_without_tls_is_named_as_the_cause(gateway: Gateway, use: Use) -> None:
    with pytest.raises(errors.Refused, match="does not speak TLS on this port"):
        await use(gateway.url.replace("http:", "https:"))


@pytest.mark.slow
@everything
async def test_an_unknown_host_is_named_as_the_cause(use: Use) -> None:
    with pytest.raises(errors.Unreachable, match="there is no host of that name"):
        await use("http://nowhere.invalid:3000")


async def test_a_self_signed_certificate_is_trusted_by_a_session_that_knows_it(
    gateway: Gateway, tmp_path: Path
) -> None:
    """The user's own session is used, and a refusal over it raises the gateway's text too."""

    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"code": "forbidden", "message": "not for you"}, status=403)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    context = self_signed(tmp_path)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    trusting = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as http:
        with pytest.raises(errors.NotAllowed, match="not for you") as raised:
            async with Publisher(f"https://127.0.0.1:{runner.addresses[0][1]}", "call", http=http):
                pass
        assert (raised.value.status, raised.value.code) == (403, "forbidden")
    await runner.cleanup()


async def test_a_refused_handshake_raises_with_the_gateways_own_message(gateway: Gateway) -> None:
    with pytest.raises(errors.SessionNotFound, match="Session nobody not found"):
        async with Publisher(gateway.url, "nobody", language=None):
            pass
    with pytest.raises(errors.Refused, match="sessionId must have 1 to 256 characters, has 257") as raised:
        async with Publisher(gateway.url, "x" * 257):
            pass
    assert (raised.value.status, raised.value.code) == (400, "invalid_message")


async def test_a_wrong_path_is_named_as_the_cause(gateway: Gateway) -> None:
    with pytest.raises(errors.Refused, match="there is no route /elsewhere/sessions/call/publish"):
        await publish(f"{gateway.url}/elsewhere")


async def test_a_server_that_is_not_a_gateway_is_named_as_the_cause() -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    with pytest.raises(errors.Refused) as raised:
        await publish(url)
    assert str(raised.value) == (
        f"{url} refused the connection (HTTP 404): this is not the answer of a Turnwire gateway"
    )
    await runner.cleanup()


@pytest.mark.slow
@pytest.mark.parametrize("use", [publish, ask])
async def test_http_to_a_port_that_speaks_tls_is_named_as_the_cause(untrusted: str, use: Use) -> None:
    with pytest.raises(errors.Unreachable, match="without an answer, as a port for https:// does"):
        await use(untrusted.replace("https:", "http:"))


def test_an_unknown_error_code_does_not_hide_the_gateways_text() -> None:
    from turnwire.connecting.answers import said  # noqa: PLC0415

    assert said(b'{"code":"session_overflown","message":"too much"}', "HTTP 409") == ("too much", None)
    assert said(b"<html>", "HTTP 502") == ("HTTP 502", None)


def test_an_answer_that_breaks_off_is_reported_without_the_words_of_a_library() -> None:
    error = aiohttp.ClientPayloadError("Response payload is not completed: <TransferEncodingError: 400>")
    assert what_broke(error) == "its answer was cut off"
