"""The example routes for webhooks: real HTTP from the vendor's side, a real gateway behind them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from examples import retell_webhook, vapi_webhook
from tests.adapters.vendor_messages import RETELL_TRANSCRIPT, VAPI_CALL, Message, retell
from tests.support.gateways import Gateway
from turnwire import Client, Event, Session, errors
from turnwire.adapters.retell import webhook as of_retell
from turnwire.adapters.webhook import store
from turnwire.protocol.errors import ErrorCode

Vendor = TestClient[web.Request, web.Application]


@pytest.fixture
async def vapi(gateway: Gateway) -> AsyncIterator[Vapi]:
    async with TestClient(TestServer(vapi_webhook.application(gateway.url, "secret"))) as client:
        yield Vapi(client)


@pytest.fixture
async def retells(gateway: Gateway) -> AsyncIterator[Retell]:
    async with TestClient(TestServer(retell_webhook.application(gateway.url, "key"))) as client:
        yield Retell(client)


class Vapi:
    def __init__(self, client: Vendor) -> None:
        self._client = client

    async def send(self, body: Any, secret: str = "secret") -> int:
        async with self._client.post("/vapi", json=body, headers={"X-Vapi-Secret": secret}) as answer:
            return answer.status


class Retell:
    def __init__(self, client: Vendor) -> None:
        self._client = client

    async def send(self, body: Any, key: str = "key", at: float | None = None) -> int:
        data = json.dumps(body).encode()
        stamp = str(int((at or time.time()) * 1000))
        header = f"v={stamp},d={retell_webhook.signature(data, key, stamp)}"
        async with self._client.post("/retell", data=data, headers={"X-Retell-Signature": header}) as answer:
            return answer.status


async def stored(gateway: Gateway, session_id: str) -> tuple[Session, list[Event]]:
    async with Client(gateway.url) as client:
        return await client.get(session_id), [event async for event in client.export(session_id)]


async def test_vapi_messages_that_arrive_twice_are_stored_once(gateway: Gateway, vapi: Vapi) -> None:
    for body in VAPI_CALL:
        assert await vapi.send(body) == 200
        assert await vapi.send(body) == 200
    session, events = await stored(gateway, "call-vapi")
    assert (session.status, session.end_reason) == ("completed", "customer-ended-call")
    texts = [event.payload["text"] for event in events if "text" in event.payload]
    assert texts == ["Is there a table?", "There is one at six."]
    assert len({event.event_id for event in events}) == len(events)


async def test_vapi_messages_that_arrive_at_the_same_time_are_stored_once(gateway: Gateway, vapi: Vapi) -> None:
    assert set(await asyncio.gather(*(vapi.send(body) for body in VAPI_CALL[:-1] * 3))) == {200}
    _, events = await stored(gateway, "call-vapi")
    assert len([event for event in events if "text" in event.payload]) == 2


async def test_a_retell_call_is_stored_while_it_lasts(gateway: Gateway, retells: Retell) -> None:
    assert await retells.send(retell("call_started")) == 204
    for end in range(1, len(RETELL_TRANSCRIPT)):
        assert await retells.send(retell("transcript_updated", RETELL_TRANSCRIPT[:end])) == 204
    _, events = await stored(gateway, "call-retell")
    assert [event.payload["text"] for event in events if "text" in event.payload] == [
        "Hello, how can I help?",
        "Is there a table?",
        "mhm",
    ]
    assert await retells.send(retell("call_ended", RETELL_TRANSCRIPT, disconnection_reason="user_hangup")) == 204
    session, events = await stored(gateway, "call-retell")
    assert (session.status, session.end_reason) == ("completed", "user_hangup")
    assert [event.payload["text"] for event in events if "text" in event.payload][-1] == "There is one at six."


@pytest.mark.parametrize("body", [{"message": {"type": "status-update"}}, {}])
async def test_a_webhook_body_without_a_call_is_refused(vapi: Vapi, body: Message) -> None:
    assert await vapi.send(body) == 400


async def test_a_webhook_request_without_the_secret_is_refused(vapi: Vapi, retells: Retell) -> None:
    assert await vapi.send(VAPI_CALL[0], secret="guess") == 401
    assert await retells.send(retell("call_started"), key="guess") == 401
    assert await retells.send(retell("call_started"), at=time.time() - 3600) == 401


class Closed:
    """A gateway whose session takes no more events."""

    def __init__(self) -> None:
        self.patched: list[Any] = []

    async def create(self, *_: Any, **__: Any) -> None:
        pass

    async def append(self, *_: Any) -> None:
        raise errors.SessionEnded("it has ended", code=ErrorCode.SESSION_ENDED)

    async def patch(self, session_id: str, *, metadata: Any) -> None:
        self.patched.append((session_id, metadata))

    async def complete(self, *_: Any) -> None:
        pass


async def test_an_analysis_that_comes_after_the_grace_time_goes_into_the_metadata() -> None:
    closed = Closed()
    body = retell("call_analyzed", [], call_analysis={"call_summary": "A table."}, recording_url="https://r")
    await store(cast(Client, closed), of_retell(body))
    assert closed.patched == [("call-retell", {"analysis": {"summary": "A table.", "recordingUrl": "https://r"}})]
