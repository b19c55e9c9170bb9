"""Tokens: sent by everything, fetched again, renewed on open connections, and failing without harm."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from itertools import count
from typing import Any

import pytest

from tests.support.gateways import Gateway
from tests.turnwire.gatekeeper import EXPIRED, Gatekeeper
from tests.turnwire.logs import log_of
from tests.turnwire.relay import eventually
from turnwire import Client, Publisher, errors, follow_sessions, subscribe
from turnwire.connecting.tokens import Token, TokenSource


@pytest.fixture
async def door(gateway: Gateway) -> AsyncIterator[Gatekeeper]:
    async with Gatekeeper(gateway) as door:
        door.tokens = {"good", *(f"t{n}" for n in range(100))}
        yield door


class Mint:
    """An async token function: t0, t1, ..."""

    def __init__(self) -> None:
        self.given: Iterator[int] = count()
        self.failing = False

    async def __call__(self) -> str:
        await asyncio.sleep(0)
        if self.failing:
            raise ZeroDivisionError("no mint today")
        return f"t{next(self.given)}"


async def test_publisher_subscriptions_and_client_send_their_token(door: Gatekeeper) -> None:
    async with Publisher(door.url, "call", metadata={"a": 1}, token="good") as call:
        await call.send("system", {"n": 1})
        await call.complete()
    assert [event.seq async for event in subscribe(door.url, "call", until_ended=True, token="good")] == [1]
    async with aclosing(follow_sessions(door.url, token=lambda: "good")) as sessions:
        assert (await anext(sessions)).session_id == "call"
    async with Client(door.url, token="good") as client:
        assert (await client.get("call")).last_seq == 1
    assert set(door.shown) == {"good"}


async def test_a_token_function_is_called_for_every_connection(door: Gatekeeper, gateway: Gateway) -> None:
    async with Publisher(door.url, "call", token=Mint()) as call:
        await call.send("system", {"n": 1})
        await call.flush()
        await door.close(EXPIRED)
        await eventually(lambda: not call.connected)
        await call.send("system", {"n": 2})
    assert door.shown == ["t0", "t1"]
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == [1, 2]


async def test_an_expired_token_is_not_logged_as_an_outage(door: Gatekeeper, caplog: pytest.LogCaptureFixture) -> None:
    async with Publisher(door.url, "call", token=Mint()) as call:
        with caplog.at_level(logging.INFO, "turnwire"):
            await door.close(EXPIRED)
            await eventually(lambda: len(door.shown) == 2 and call.connected)
    assert "the token has expired" in caplog.text
    assert all(record.levelno < logging.WARNING for record in caplog.records)


@pytest.mark.parametrize("kind", ["publisher", "subscription", "feed"])
async def test_a_token_that_is_about_to_expire_is_renewed_on_its_connection(door: Gatekeeper, kind: str) -> None:
    mint = Mint()
    async with Publisher(door.url, "call", token=mint if kind == "publisher" else "good") as call:
        await call.send("system", {"n": 1})
        await call.flush()
        things: Any = None
        if kind == "subscription":
            things = aiter(subscribe(door.url, "call", token=mint))
        elif kind == "feed":
            things = follow_sessions(door.url, token=mint)
        if things is not None:
            await anext(things)
        await door.warn()
        await eventually(lambda: door.renewed == ["t1"])
        if things is not None:
            await things.aclose()
        await call.send("system", {"n": 2})
        await call.flush()
        assert call.connected
    assert len(door.shown) == (1 if kind == "publisher" else 2)


async def test_a_token_function_that_fails_is_called_again(
    door: Gatekeeper, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    mint = Mint()
    mint.failing = True
    async with Publisher(door.url, "call", token=mint, wait=False) as call:
        call.post("system", {"n": 1})
        await eventually(lambda: "the token function failed: ZeroDivisionError: no mint today" in caplog.text)
        mint.failing = False
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == [1]


async def test_a_token_function_that_fails_during_renewal_is_called_again(
    door: Gatekeeper, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    mint = Mint()
    async with Publisher(door.url, "call", token=mint) as call:
        mint.failing = True
        await door.warn()
        await eventually(lambda: "the token could not be renewed" in caplog.text)
        mint.failing = False
        await eventually(lambda: door.renewed == ["t1"])
        assert call.connected


async def test_a_client_whose_token_function_fails_raises_token_error(door: Gatekeeper) -> None:
    def nothing() -> str:
        return ""

    async with Client(door.url, token=nothing) as client:
        with pytest.raises(errors.TokenError, match="visible ASCII"):
            await client.get("call")


async def test_a_client_gets_another_token_when_its_own_is_no_longer_accepted(
    door: Gatekeeper, gateway: Gateway
) -> None:
    await gateway.create("call")
    async with Client(door.url, token=Mint()) as client:
        await client.get("call")
        door.tokens.discard("t0")
        await client.get("call")
        await client.get("call")
    assert door.shown == ["t0", "t0", "t1", "t1"]


async def test_a_refused_token_is_final_and_raises_the_gateways_text(door: Gatekeeper) -> None:
    with pytest.raises(errors.NotAllowed, match="this token is not known") as raised:
        async with Publisher(door.url, "call", token="wrong"):
            pass
    assert (raised.value.status, raised.value.code) == (401, "unauthenticated")
    with pytest.raises(errors.NotAllowed, match="this token is not known"):
        async for _ in subscribe(door.url, "call", token="wrong"):
            pass
    async with Client(door.url, token="wrong") as client:
        with pytest.raises(errors.NotAllowed, match="this token is not known"):
            await client.get("call")


@pytest.mark.parametrize("code", [4401, 4403])
async def test_a_close_with_4401_or_4403_is_final(door: Gatekeeper, code: int) -> None:
    call = Publisher(door.url, "call", token=Mint())
    await call.open()
    await door.close(code)
    await eventually(lambda: not call.connected)
    with pytest.raises(errors.NotAllowed):
        await call.send("system", {})
    await call.aclose()
    assert door.shown == ["t0"]


async def use_until_expiry(door: Gatekeeper, kind: str) -> None:
    """Use a fixed token until the gateway says that it has expired."""
    if kind == "publisher":
        async with Publisher(door.url, "call", token="good") as call:
            await door.close(EXPIRED)
            await eventually(lambda: not call.connected)
            await call.send("system", {})
    elif kind == "subscription":
        async for _ in subscribe(door.url, "call", token="good"):
            await door.close(EXPIRED)
    else:
        async for _ in follow_sessions(door.url, token="good"):
            await door.close(EXPIRED)


@pytest.mark.parametrize("kind", ["publisher", "subscription", "feed"])
async def test_the_expiry_of_a_fixed_token_is_final_at_once(door: Gatekeeper, gateway: Gateway, kind: str) -> None:
    """The gateway accepts an expired token for its leeway: a client that came back would be closed again and again."""
    await gateway.create("call")
    await gateway.fill("call", 1)
    with pytest.raises(errors.NotAllowed, match="the token has expired, and there is no other") as raised:
        await use_until_expiry(door, kind)
    assert raised.value.close_code == EXPIRED
    assert door.shown == ["good"]


@pytest.mark.parametrize("token", ["", "two words", "line\n", "ü", 7])
def test_an_impossible_token_is_refused_at_once(token: Any) -> None:
    with pytest.raises(ValueError, match="a token must"):
        Client("http://localhost", token=token)
    with pytest.raises(ValueError, match="a token must"):
        Publisher("http://localhost", "call", token=token)


async def test_a_plain_token_function_that_takes_long_holds_nobody_up() -> None:
    may_return = threading.Event()

    def slow() -> str:
        return "token" if may_return.wait(1) else "the loop was held up"

    asking = asyncio.create_task(TokenSource(slow).fresh())
    await asyncio.sleep(0)
    may_return.set()
    assert await asking == "token"


@pytest.mark.parametrize("function", [Mint(), partial(Mint()), lambda: "t0"])
async def test_a_token_function_may_be_anything_that_can_be_called(function: Token) -> None:
    assert await TokenSource(function).fresh() == "t0"


async def test_a_token_function_that_never_returns_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> str:
        await asyncio.Event().wait()
        return "token"

    monkeypatch.setattr("turnwire.connecting.tokens.TIMEOUT", 0.01)
    with pytest.raises(errors.TokenError, match="did not return"):
        await TokenSource(never).fresh()
