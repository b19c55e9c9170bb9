"""Following a session and following them all, over connections that break."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Literal

import pytest

from tests.support.gateways import Gateway, StartGateway
from tests.turnwire.relay import Relay
from turnwire import Event, Publisher, Session, errors, follow_sessions, subscribe


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_subscribe_yields_history_then_live_events_until_the_end(
    gateway: Gateway, codec: Literal["json", "msgpack"]
) -> None:
    async with Publisher(gateway.url, "call", codec=codec) as call:
        for n in range(250):
            await call.send("system", {"n": n})
        await call.flush()
        live = asyncio.Event()
        states: list[Session] = []
        subscription = subscribe(
            gateway.url,
            "call",
            until_ended=True,
            codec=codec,
            on_session=states.append,
            on_caught_up=lambda _: live.set(),
        )

        async def follow() -> list[Event]:
            return [event async for event in subscription]

        following = asyncio.create_task(follow())
        await live.wait()
        assert subscription.caught_up
        for n in range(250, 300):
            await call.send("system", {"n": n})
        await call.complete()
        events = await following
    assert [event.payload["n"] for event in events] == list(range(300))
    assert [event.seq for event in events] == list(range(1, 301))
    assert subscription.last_seq == 300
    assert states[-1].status == "completed"
    assert subscription.session == states[-1]


async def test_subscribe_starts_after_the_given_seq(gateway: Gateway) -> None:
    await gateway.create("call")
    await gateway.fill("call", 10)
    await gateway.post("/sessions/call/complete", {})
    assert [event.seq async for event in subscribe(gateway.url, "call", 7, until_ended=True)] == [8, 9, 10]
    assert [event async for event in subscribe(gateway.url, "call", 10, until_ended=True)] == []


async def test_subscribe_yields_each_event_once_across_broken_connections(gateway: Gateway, relay: Relay) -> None:
    async def follow() -> list[int]:
        seqs = []
        async for event in subscribe(relay.url, "call", until_ended=True):
            seqs.append(event.seq)
            if event.seq % 70 == 0:
                relay.cut()
        return seqs

    async with Publisher(gateway.url, "call") as call:
        following = asyncio.create_task(follow())
        for n in range(400):
            await call.send("system", {"n": n})
        await call.complete()
        assert await following == list(range(1, 401))
    assert relay.connections > 1


async def test_subscribe_continues_when_the_gateway_comes_back(start_gateway: StartGateway) -> None:
    first = await start_gateway(reconnect_after=0)
    async with Relay(first.port) as relay:
        async with Publisher(first.url, "call") as call:
            await call.send("system", {"n": 1})
        async with aclosing(aiter(subscribe(relay.url, "call"))) as events:
            assert (await anext(events)).seq == 1
            second = await start_gateway()
            relay.target_port = second.port
            await first.stop()
            async with Publisher(second.url, "call") as call:
                await call.send("system", {"n": 2})
            assert (await anext(events)).seq == 2


async def test_subscribing_to_an_unknown_session_raises(gateway: Gateway) -> None:
    with pytest.raises(errors.SessionNotFound):
        async for _ in subscribe(gateway.url, "nobody"):
            pass


async def test_subscribing_from_beyond_the_log_raises(gateway: Gateway) -> None:
    await gateway.create("call")
    with pytest.raises(errors.Refused) as raised:
        async for _ in subscribe(gateway.url, "call", after_seq=5):
            pass
    assert raised.value.code == "invalid_message"


async def test_subscribe_gives_up_after_give_up_after(gateway: Gateway, relay: Relay) -> None:
    await gateway.create("call")
    await gateway.fill("call", 1)
    async with aclosing(aiter(subscribe(relay.url, "call", give_up_after=0.3))) as events:
        assert (await anext(events)).seq == 1
        relay.refusing = True
        relay.cut()
        with pytest.raises(errors.Unreachable):
            await anext(events)


async def test_subscribe_without_until_ended_waits_for_more_events(gateway: Gateway) -> None:
    await gateway.create("call")
    await gateway.fill("call", 1)
    await gateway.post("/sessions/call/complete", {})
    async with aclosing(aiter(subscribe(gateway.url, "call"))) as events:
        assert (await anext(events)).seq == 1
        late = {"eventId": "late", "type": "bot_speech", "payload": {}}
        following = asyncio.ensure_future(anext(events))
        await gateway.post("/sessions/call/events", late, status=201)
        assert (await following).event_id == "late"


# The feed


async def test_follow_sessions_yields_existing_sessions_and_then_changes(gateway: Gateway) -> None:
    await gateway.create("old")
    async with aclosing(follow_sessions(gateway.url)) as sessions:
        assert (await anext(sessions)).session_id == "old"
        async with Publisher(gateway.url, "new") as call:
            await call.send("system", {})
            await call.complete()
        async with asyncio.timeout(20):
            async for session in sessions:
                assert session.session_id == "new"
                if session.status == "completed":
                    assert session.last_seq == 1
                    break


async def test_follow_sessions_yields_once_more_a_session_that_leaves_the_filter(gateway: Gateway) -> None:
    await gateway.create("waiting")
    async with Publisher(gateway.url, "call") as call:
        await call.send("system", {})
        await call.flush()
        async with aclosing(follow_sessions(gateway.url, ["active"])) as sessions:
            first = await anext(sessions)
            assert (first.session_id, first.status) == ("call", "active")
            await call.complete()
            async with asyncio.timeout(20):
                while (session := await anext(sessions)).status == "active":
                    pass
            assert (session.session_id, session.status) == ("call", "completed")


async def test_a_slow_follower_gets_the_newest_state_of_each_session(gateway: Gateway, relay: Relay) -> None:
    async with aclosing(follow_sessions(relay.url)) as sessions, Publisher(gateway.url, "call") as call:
        for n in range(5):
            await call.send("system", {"n": n})
            await call.flush()
        session = await anext(sessions)
        async with asyncio.timeout(20):
            while session.last_seq < 5:
                session = await anext(sessions)


async def test_follow_sessions_yields_a_session_that_left_the_filter_during_a_lost_connection(
    gateway: Gateway, relay: Relay
) -> None:
    async with Publisher(gateway.url, "call") as call:
        await call.send("system", {})
        await call.flush()
        async with aclosing(follow_sessions(relay.url, ["active"])) as sessions:
            assert (await anext(sessions)).status == "active"
            relay.refusing = True
            relay.cut()
            await call.complete()
            relay.refusing = False
            async with asyncio.timeout(20):
                while (await anext(sessions)).status != "completed":
                    pass


async def test_follow_sessions_gives_up_after_give_up_after(gateway: Gateway, relay: Relay) -> None:
    await gateway.create("call")
    async with aclosing(follow_sessions(relay.url, give_up_after=0.3)) as sessions:
        await anext(sessions)
        relay.refusing = True
        relay.cut()
        with pytest.raises(errors.Unreachable):
            await anext(sessions)
