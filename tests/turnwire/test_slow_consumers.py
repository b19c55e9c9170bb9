"""Busy consumers keep their connections, and clients send no more requests than needed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from tests.support.gateways import Gateway, StartGateway
from tests.turnwire.relay import Relay, eventually
from turnwire import Publisher, Session, follow_sessions, subscribe

PATIENT = {"ping_interval": 0.1, "pong_timeout": 0.6, "slow_pong_timeout": 0.6}
"""A gateway that closes connections without a pong for 0.6 s: six pings."""


@pytest.fixture
async def impatient(start_gateway: StartGateway) -> Gateway:
    return await start_gateway(**PATIENT)


async def pings(relay: Relay, count: int) -> None:
    """Wait until this many pings have come, so that a reading client has answered them."""
    before = relay.carried
    await eventually(lambda: relay.connections > 1 or relay.carried >= before + count * 8)


async def test_a_subscriber_that_is_busy_keeps_its_connection(impatient: Gateway) -> None:
    await impatient.create("call")
    await impatient.fill("call", 20)
    async with Relay(impatient.port) as relay, aclosing(aiter(subscribe(relay.url, "call"))) as events:
        assert [(await anext(events)).seq for _ in range(20)] == list(range(1, 21))
        await pings(relay, 10)
        late = {"eventId": "late", "type": "system", "payload": {}}
        await impatient.post("/sessions/call/events", late, status=201)
        assert (await anext(events)).seq == 21
        assert relay.connections == 1


async def test_a_busy_subscriber_keeps_its_connection_even_if_more_arrives_than_it_holds(
    impatient: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("turnwire.subscription_reader.MAX_HELD", 20_000)
    async with Relay(impatient.port) as relay, Publisher(impatient.url, "call") as call:
        for n in range(100):
            call.post("system", {"n": n, "text": "x" * 1000})
        await call.flush()
        subscription = subscribe(relay.url, "call", until_ended=True)
        async with aclosing(aiter(subscription)) as events:
            seqs = [(await anext(events)).seq]
            await pings(relay, 10)
            for n in range(100, 1000):
                call.post("system", {"n": n, "text": "x" * 1000})
            await call.complete()
            carried = relay.carried
            await pings(relay, 10)
            assert relay.carried < carried + 400_000, "it reads on though nobody takes"
            async for event in events:
                seqs.append(event.seq)
        assert seqs == list(range(1, 1001))
        assert relay.connections == 1


async def test_a_follower_that_is_busy_keeps_its_connection(impatient: Gateway) -> None:
    await impatient.create("a")
    async with Relay(impatient.port) as relay, aclosing(follow_sessions(relay.url)) as sessions:
        await anext(sessions)
        await pings(relay, 10)
        await impatient.create("b")
        assert (await anext(sessions)).session_id == "b"
        assert relay.connections == 1


# What a feed requests


@pytest.fixture
async def counted(start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch) -> tuple[Gateway, list[str]]:
    """A gateway, and the paths of the requests it has received."""
    gateway = await start_gateway()
    paths: list[str] = []
    handle = gateway.runner.server.request_handler  # type: ignore[union-attr]

    async def counting(request: Any) -> Any:
        paths.append(request.path_qs)
        return await handle(request)

    monkeypatch.setattr(gateway.runner.server, "request_handler", counting)
    return gateway, paths


async def seen(sessions: Any, count: int) -> list[Session]:
    async with asyncio.timeout(20):
        return [await anext(sessions) for _ in range(count)]


async def test_a_feed_yields_its_snapshot_once_without_asking_for_sessions(counted: tuple[Gateway, list[str]]) -> None:
    gateway, paths = counted
    large = {"notes": "x" * 60_000}
    ids = [await gateway.create(f"call-{n}", metadata=large) for n in range(60)]  # more than one message holds
    paths.clear()
    async with Relay(gateway.port) as relay, aclosing(follow_sessions(relay.url)) as sessions:
        assert sorted(session.session_id for session in await seen(sessions, 60)) == sorted(ids)
        relay.cut()
        await eventually(lambda: relay.connections == 2)
        await gateway.post("/sessions", {"sessionId": "new", "language": "en"})
        assert (await seen(sessions, 1))[0].session_id == "new"
    assert not [path for path in paths if path.startswith("/sessions/call-")]


async def test_sessions_that_ended_during_a_lost_connection_are_found_page_by_page(
    counted: tuple[Gateway, list[str]],
) -> None:
    gateway, paths = counted
    ids = [await gateway.create(f"call-{n}") for n in range(150)]
    async with Relay(gateway.port) as relay, aclosing(follow_sessions(relay.url, ["initiated"])) as sessions:
        await seen(sessions, 150)
        relay.refusing = True
        relay.cut()
        for session_id in ids:
            await gateway.post(f"/sessions/{session_id}/complete", {})
        await gateway.create("going-on")
        paths.clear()
        relay.refusing = False
        found = await seen(sessions, 151)
    ended = {session.session_id for session in found if session.status == "completed"}
    assert ended == set(ids)
    assert len(paths) <= 6, paths
