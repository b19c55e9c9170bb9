"""Outages: what is logged, how soon clients notice, and how they reconnect."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import aclosing

import pytest

from tests.support.gateways import Gateway, StartGateway
from tests.turnwire.relay import Relay, eventually
from turnwire import Publisher, follow_sessions, subscribe
from turnwire.connecting.backoff import Backoff

CLIENTS = 60


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log messages at Python's default level."""
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


async def test_an_outage_is_logged_once_when_it_begins_and_once_when_it_ends(
    gateway: Gateway, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    async with Publisher(relay.url, "call") as call:
        relay.refusing = True
        relay.cut()
        await eventually(lambda: not call.connected)
        for n in range(3):
            call.post("system", {"n": n})
        refused = relay.refused
        await eventually(lambda: relay.refused >= refused + 3)
        assert len(warnings(caplog)) == 1
        assert "publisher of 'call': no connection" in warnings(caplog)[0]
        relay.refusing = False
        await eventually(lambda: call.connected)
        assert len(warnings(caplog)) == 2
        assert re.fullmatch(
            r"publisher of 'call': connected again after \d+\.\d s; 3 events waited", warnings(caplog)[1]
        )


async def test_subscriptions_and_feeds_log_an_outage(
    gateway: Gateway, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    await gateway.create("call")
    await gateway.fill("call", 1)
    async with (
        aclosing(aiter(subscribe(relay.url, "call"))) as events,
        aclosing(follow_sessions(relay.url)) as sessions,
    ):
        await anext(events)
        await anext(sessions)
        connections = relay.connections
        relay.refusing = True
        relay.cut()
        await eventually(lambda: len(warnings(caplog)) == 2)
        relay.refusing = False
        await eventually(lambda: relay.connections == connections + 2 and len(warnings(caplog)) == 4)
    told = " ".join(warnings(caplog))
    for who in ("subscription to 'call'", "feed of sessions"):
        assert f"{who}: no connection" in told
        assert f"{who}: connected again after" in told


async def test_an_announced_restart_is_not_logged_as_an_outage(
    start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    first = await start_gateway(reconnect_after=0)
    second = await start_gateway()
    async with Relay(first.port) as relay, Publisher(relay.url, "call") as call:
        relay.target_port = second.port
        await first.stop()
        await eventually(lambda: call.connected and relay.connections == 2)
        call.post("system", {})
    assert [text for text in warnings(caplog) if "publisher" in text] == []


# A connection on which nothing arrives any more


async def test_a_publisher_notices_a_silent_connection_after_one_and_a_half_pings(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(ping_interval=0.4)
    async with Relay(gateway.port) as relay, Publisher(relay.url, "call", max_outbox=5) as call:
        loop = asyncio.get_running_loop()
        relay.stall()
        began = loop.time()
        for n in range(30):  # more than fits: the rest must wait for the new connection
            await call.send("system", {"n": n})
        assert 0.1 < loop.time() - began < 0.6 + 3
        await call.flush()
        assert relay.connections == 2
    assert (await gateway.get("/sessions/call"))["lastSeq"] == 30


async def test_a_publisher_notices_a_silent_connection_it_can_no_longer_write_to(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(ping_interval=0.4)
    async with Relay(gateway.port) as relay, Publisher(relay.url, "call") as call:
        relay.stall()
        for n in range(200):  # more than the system buffers
            call.post("system", {"n": n, "text": "x" * 100_000})
        await eventually(lambda: relay.connections == 2)
        await call.flush()
    assert (await gateway.get("/sessions/call"))["lastSeq"] == 200


@pytest.mark.parametrize("follow", [True, False])
async def test_a_subscriber_notices_a_silent_connection(
    gateway: Gateway, relay: Relay, follow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("turnwire.connecting.link.QUIET", 0.5)
    await gateway.create("call")
    await gateway.fill("call", 1)
    async with aclosing(follow_sessions(relay.url) if follow else aiter(subscribe(relay.url, "call"))) as things:
        await anext(things)
        relay.stall()
        await eventually(lambda: relay.connections == 2)


# Reconnecting


@pytest.mark.parametrize("goaway", [False, True])
async def test_clients_that_lost_the_gateway_together_reconnect_spread_over_a_second(
    start_gateway: StartGateway, goaway: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("turnwire.connecting.backoff.SPREAD", 1.0)
    waits: list[float] = []
    next_delay = Backoff.next_delay

    def noted(backoff: Backoff, asked: float | None = None, *, by_goaway: bool = False) -> float:
        waits.append(next_delay(backoff, asked, by_goaway=by_goaway))
        return waits[-1]

    monkeypatch.setattr(Backoff, "next_delay", noted)
    first = await start_gateway(reconnect_after=0.3, drain_spread=0.8)
    second = await start_gateway()
    loop = asyncio.get_running_loop()
    async with Relay(first.port) as relay:
        calls = [Publisher(relay.url, f"call-{n}") for n in range(CLIENTS)]
        await asyncio.gather(*(call.open() for call in calls))
        relay.target_port = second.port
        began = loop.time()
        if goaway:
            await first.stop()
        else:
            relay.cut()
        await eventually(lambda: relay.connections == 2 * CLIENTS)
        back = sorted(moment - began for moment in relay.moments[CLIENTS:])
        await asyncio.gather(*(call.aclose() for call in calls))
    waits.sort()
    assert len(waits) == CLIENTS
    assert all(moment > wait - 0.01 for moment, wait in zip(back, waits, strict=True)), "a busy machine is only later"
    if goaway:
        assert waits[0] >= 0.3
    assert waits[-1] - waits[0] > 0.6
    most = max(sum(1 for wait in waits if start <= wait < start + 0.1) for start in waits)
    assert most < CLIENTS / 2
