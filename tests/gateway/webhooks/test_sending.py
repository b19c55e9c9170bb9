"""Messages over real sockets: signed, never beyond what is allowed, never along a redirect; the routes and commands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from aiohttp.client_proto import ResponseHandler
from standardwebhooks import Webhook
from typer.testing import CliRunner, Result

from tests.support.gateways import Gateway, StartGateway
from turnwire.cli import app
from turnwire.gateway.turns import Turns
from turnwire.gateway.webhooks.courier import Courier
from turnwire.gateway.webhooks.messages import Message
from turnwire.gateway.webhooks.secrets import new_secret
from turnwire.gateway.webhooks.sending import NotTaken

Json = Any
MESSAGE = Message("msg_1", b'{"type":"webhook.test"}')


class Service:
    """A service on this machine. It answers with `status`, and keeps what it gets."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status, headers=self.headers)

    def verified(self, secret: str) -> list[Json]:
        """The messages, each of which must be signed by this secret."""
        return [Webhook(secret).verify(body, headers) for headers, body in self.requests]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    made = Service()
    application = web.Application()
    application.router.add_post("/hook", made.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield made
    await runner.cleanup()


@pytest.fixture
async def courier() -> AsyncIterator[Courier]:
    made = Courier(Turns(), timeout=5, allow_private=True)
    yield made
    await made.close()


async def turnwire(gateway: Gateway, *args: str) -> Result:
    env = {"TURNWIRE_URL": gateway.url, "TURNWIRE_TOKEN": ""}
    return await asyncio.to_thread(CliRunner().invoke, app, ["webhook", *args], env=env)


async def test_a_message_is_verified_with_each_secret_and_with_no_other(service: Service, courier: Courier) -> None:
    secrets = [new_secret(), new_secret()]
    await courier.send(service.url, MESSAGE, secrets)
    assert [service.verified(secret) for secret in secrets] == [[{"type": "webhook.test"}]] * 2
    with pytest.raises(Exception, match="No matching signature"):
        service.verified(new_secret())
    headers, _ = service.requests[0]
    assert headers["webhook-id"] == "msg_1"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_connection_is_made_to_a_private_address_whatever_name_leads_there(
    service: Service, host: str
) -> None:
    courier = Courier(Turns(), timeout=5, allow_private=False)
    with pytest.raises(NotTaken, match="not a public address"):
        await courier.send(service.url.replace("127.0.0.1", host), MESSAGE, [new_secret()])
    assert service.requests == []
    await courier.close()


async def test_a_redirect_is_not_followed(service: Service, courier: Courier) -> None:
    service.status, service.headers = 307, {"Location": service.url}
    with pytest.raises(NotTaken, match="307; redirects are not followed"):
        await courier.send(service.url, MESSAGE, [new_secret()])
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "it closed the connection without an answer"),
        (b"\x00\xff\r\n\r\n", "its answer is not HTTP: bad status line"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 1000, "its answer is not HTTP: too many headers received"),
    ],
)
async def test_the_reason_for_a_missing_answer_is_told_in_plain_words(
    courier: Courier, answer: bytes, reason: str
) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotTaken) as refused:
            await courier.send(f"http://127.0.0.1:{port}/", MESSAGE, [new_secret()])
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("begin", "flood", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100_000, None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 20_000, None),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 1000000000\r\n\r\n", b"x" * 100_000, "it answered 500"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 4000, "its answer is too long"),
        (
            b"HTTP/1.1 200 OK\r\nX-A: ",
            b"x" * 100_000,
            "its answer is not HTTP: got more than 8190 bytes when reading",
        ),
    ],
)
async def test_an_answer_without_end_is_read_to_its_status_and_then_left(
    courier: Courier, begin: bytes, flood: bytes, reason: str | None
) -> None:
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begin)
        with suppress(ConnectionError):
            while True:
                writer.write(flood)
                await writer.drain()
        writer.close()
        left.set()

    async with asyncio.timeout(10), await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        if reason is None:
            await courier.send(url, MESSAGE, [new_secret()])
        else:
            with pytest.raises(NotTaken) as refused:
                await courier.send(url, MESSAGE, [new_secret()])
            assert str(refused.value) == reason
        await left.wait()


async def test_of_a_body_of_tiny_chunks_only_a_few_are_parsed(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed, parse = list[int](), ResponseHandler.data_received

    def count(handler: ResponseHandler, data: bytes) -> None:
        parsed.append(data.count(b"\r\nx\r\n"))
        parse(handler, data)

    monkeypatch.setattr(ResponseHandler, "data_received", count)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20_000)
        await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        await courier.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", MESSAGE, [new_secret()])
        await courier.close()
    assert 0 < sum(parsed) < 100


async def test_interim_answers_are_passed_over_and_small_answers_keep_their_connection(courier: Courier) -> None:
    connections, requests = 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, requests
        connections += 1
        with suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(MESSAGE.body))
                requests += 1
                interim = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
                writer.write(interim + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        for _ in range(3):
            await courier.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", MESSAGE, [new_secret()])
        await courier.close()
    assert (connections, requests) == (1, 3)


async def test_an_endpoint_says_when_to_come_back_and_that_it_is_gone(service: Service, courier: Courier) -> None:
    service.status, service.headers = 503, {"Retry-After": "90"}
    with pytest.raises(NotTaken) as busy:
        await courier.send(service.url, MESSAGE, [new_secret()])
    service.status, service.headers = 410, {}
    with pytest.raises(NotTaken) as gone:
        await courier.send(service.url, MESSAGE, [new_secret()])
    assert (busy.value.asked, busy.value.gone, gone.value.gone) == (90, False, True)


async def test_webhooks_are_managed_by_commands_and_told_of_sessions(
    start_gateway: StartGateway, service: Service
) -> None:
    gateway = await start_gateway(webhook_allow_private=True)
    added = await turnwire(gateway, "add", service.url, "--events", "session.*,error", "--id", "crm")
    assert (added.exit_code, added.stdout) == (0, "crm\n")
    secret = added.stderr.split()[-1]
    assert (await turnwire(gateway, "test", "crm")).exit_code == 0
    assert service.verified(secret)[0]["type"] == "webhook.test"
    await gateway.create("s")
    error = {"eventId": "e1", "type": "system", "payload": {"event": "error"}}
    await gateway.post("/sessions/s/events", error, status=201)
    await gateway.post("/sessions/s/complete", {"status": "failed"})
    async with asyncio.timeout(15):
        while len(service.requests) < 4:
            await asyncio.sleep(0.02)
    assert [each["type"] for each in service.verified(secret)[1:]] == ["session.created", "error", "session.failed"]

    rotated = await turnwire(gateway, "rotate", "crm", "--overlap", "60")
    await turnwire(gateway, "test", "crm")
    Webhook(rotated.stderr.split()[-1]).verify(service.requests[-1][1], service.requests[-1][0])
    service.verified(secret)
    assert (await turnwire(gateway, "disable", "crm")).exit_code == 0
    assert "an operator has disabled it" in (await turnwire(gateway, "list")).stdout
    assert "crm  active" in (await turnwire(gateway, "enable", "crm")).stdout
    before = len(service.requests)
    since = (await gateway.get("/sessions/s"))["startedAt"]
    replayed = await turnwire(gateway, "replay", "crm", "--since", since)
    assert (replayed.exit_code, replayed.stdout) == (0, f"Everything since {since} has been sent again.\n")
    sent_again = [json.loads(body)["type"] for _, body in service.requests[before:]]
    assert sent_again == ["session.created", "error", "session.failed"]
    asked = await turnwire(gateway, "replay", "crm", "--since", since, "--no-wait")
    assert asked.stdout == f"Everything since {since} is sent again.\n"
    service.status = 500
    refused = await turnwire(gateway, "test", "crm")
    assert (refused.exit_code, "it answered 500" in refused.output) == (1, True)
    assert (await turnwire(gateway, "remove", "crm")).exit_code == 0
    assert (await turnwire(gateway, "list")).stdout == "There are no webhooks.\n"


async def test_a_webhook_is_refused_for_what_it_must_not_be(gateway: Gateway) -> None:
    for body in (
        {"url": "http://example.com/", "events": ["*"]},
        {"url": "https://127.0.0.1/", "events": ["*"]},
        {"url": "https://example.com/", "events": ["session.ended"]},
        {"url": "https://example.com/", "events": ["*"], "webhookId": "a b"},
    ):
        await gateway.post("/webhooks", body, status=400)
    assert (await gateway.get("/webhooks"))["webhooks"] == []
    await gateway.ask("GET", "/webhooks/none", status=404)
    added = await gateway.post("/webhooks", {"url": "https://example.com/", "events": ["*"]}, status=201)
    assert added["secret"].startswith("whsec_")
    shown = await gateway.get(f"/webhooks/{added['webhookId']}")
    assert "secret" not in shown
    assert shown["state"] == "active"
