"""The publisher over broken connections, and with gateways that are away."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support.gateways import Gateway, StartGateway
from tests.turnwire.relay import Relay, eventually
from turnwire import Acked, Client, Publisher, errors


async def numbers(gateway: Gateway, session_id: str = "call") -> list[int]:
    async with Client(gateway.url) as client:
        return [event.payload["n"] async for event in client.export(session_id)]


async def test_events_are_stored_once_in_order_across_broken_connections(gateway: Gateway, relay: Relay) -> None:
    acks: list[Acked] = []
    async with Publisher(relay.url, "call", on_ack=acks.append) as call:
        for n in range(300):
            await call.send("user_speech", {"n": n})
            if n % 60 == 30:
                relay.cut()
                await eventually(lambda: not call.connected)
    assert await numbers(gateway) == list(range(300))
    assert [ack.seq for ack in acks] == list(range(1, 301))


async def test_events_whose_acks_were_lost_are_not_sent_again(gateway: Gateway, relay: Relay) -> None:
    acks: list[Acked] = []
    async with Publisher(relay.url, "call", on_ack=acks.append) as call:
        await call.send("system", {"n": 0})
        await call.flush()
        relay.swallow()
        for n in range(1, 4):
            await call.send("system", {"n": n})
        await stored(gateway, 4)
        relay.cut()
        await call.flush()
    assert await numbers(gateway) == [0, 1, 2, 3]
    assert [(ack.seq, ack.duplicate) for ack in acks] == [(seq, False) for seq in range(1, 5)]


async def test_events_with_lost_acks_are_sent_again_if_someone_else_wrote_too(gateway: Gateway, relay: Relay) -> None:
    acks: list[Acked] = []
    async with Publisher(relay.url, "call", on_ack=acks.append) as call:
        relay.swallow()
        await call.send("system", {"n": 0})
        await stored(gateway, 1)
        await gateway.post("/sessions/call/events", {"eventId": "x", "type": "system", "payload": {"n": 9}}, status=201)
        relay.cut()
        await call.flush()
    assert await numbers(gateway) == [0, 9]
    assert [(ack.seq, ack.duplicate) for ack in acks] == [(1, True)]


async def test_a_publisher_reconnects_to_a_gateway_that_never_answers(
    gateway: Gateway, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("turnwire.publishing.loop.ANSWER_TIMEOUT", 0.2)
    async with Publisher(relay.url, "call") as call:
        relay.swallow()
        await call.send("system", {"n": 0})
        await call.flush()
    assert await numbers(gateway) == [0]
    assert relay.connections == 2


async def test_a_publisher_replaces_a_connection_that_has_gone_silent(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(ping_interval=0.1)
    async with Relay(gateway.port) as relay, Publisher(relay.url, "call") as call:
        relay.swallow()
        await eventually(lambda: relay.connections == 2)
        await call.send("system", {"n": 0})
        await call.flush()
    assert await numbers(gateway) == [0]


async def test_a_publisher_keeps_a_quiet_connection_that_gets_pings(
    gateway: Gateway, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the gateway pings less often than a silence may last, because it answers our pings."""
    monkeypatch.setattr("turnwire.connecting.link.QUIET", 0.3)
    async with Publisher(relay.url, "call"):
        quiet_since = relay.carried
        await eventually(lambda: relay.carried > quiet_since + 50)  # pings and pongs, of some bytes each
    assert relay.connections == 1


async def stored(gateway: Gateway, count: int) -> None:
    """Wait until the session has this many events."""
    async with asyncio.timeout(20):
        while (await gateway.get("/sessions/call"))["lastSeq"] < count:
            await asyncio.sleep(0.005)


async def test_complete_is_sent_again_if_its_answer_was_lost(gateway: Gateway, relay: Relay) -> None:
    async with Publisher(relay.url, "call") as call:
        await call.send("system", {"n": 0})
        await call.flush()
        relay.swallow()
        ending = asyncio.create_task(call.complete(reason="done"))
        async with asyncio.timeout(20):
            while (await gateway.get("/sessions/call"))["status"] != "completed":
                await asyncio.sleep(0.005)
        relay.cut()
        session = await ending
    assert (session.status, session.end_reason, session.last_seq) == ("completed", "done", 1)


async def test_a_lost_answer_to_complete_is_recovered_after_the_grace_time(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=0)
    acks: list[Acked] = []
    async with Relay(gateway.port) as relay, Publisher(relay.url, "call", on_ack=acks.append) as call:
        relay.swallow()
        await call.send("system", {"n": 0})
        await call.send("system", {"n": 1})
        ending = asyncio.create_task(call.complete())
        async with asyncio.timeout(20):
            while (await gateway.get("/sessions/call"))["status"] != "completed":
                await asyncio.sleep(0.005)
        relay.cut()
        assert (await ending).last_seq == 2
    assert [ack.seq for ack in acks] == [1, 2]


async def test_events_that_came_too_late_are_named_in_the_error(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=0)
    async with Relay(gateway.port) as relay:
        call = Publisher(relay.url, "call")
        await call.open()
        await call.send("system", {"n": 0})
        await call.flush()
        relay.refusing = True
        relay.cut()
        await eventually(lambda: not call.connected)
        await call.send("system", {"n": 1}, "late")
        await gateway.post("/sessions/call/complete", {})
        relay.refusing = False
        with pytest.raises(errors.SessionEnded, match="1 came too late"):
            await call.flush()
        await call.close()
    assert [event.event_id for event in call.unanswered()] == ["late"]
    assert await numbers(gateway) == [0]


async def test_signals_of_a_publisher_are_dropped_while_the_gateway_is_away(gateway: Gateway, relay: Relay) -> None:
    async with Publisher(relay.url, "call") as call:
        relay.refusing = True
        relay.cut()
        await eventually(lambda: not call.connected)
        await call.signal("a", {"n": 1})
        assert not call._delivery._signals
        relay.refusing = False


async def test_sending_into_a_full_outbox_waits_for_the_gateway(gateway: Gateway, relay: Relay) -> None:
    async with Publisher(relay.url, "call", max_outbox=2) as call:
        relay.refusing = True
        relay.cut()
        await eventually(lambda: not call.connected)
        await call.send("system", {"n": 0})
        await call.send("system", {"n": 1})
        with pytest.raises(TimeoutError):
            await call.send("system", {"n": 99}, timeout=0.05)
        with pytest.raises(TimeoutError):
            await call.flush(timeout=0.05)
        waiting = asyncio.create_task(call.send("system", {"n": 2}))
        relay.refusing = False
        await waiting
    assert await numbers(gateway) == [0, 1, 2]


async def test_a_publisher_returns_after_its_gateway_has_drained(
    start_gateway: StartGateway, database_uri: str, database_name: str
) -> None:
    first = await start_gateway(reconnect_after=0)
    async with Relay(first.port) as relay, Publisher(relay.url, "call") as call:
        for n in range(50):
            await call.send("system", {"n": n})
        second = await start_gateway()
        relay.target_port = second.port
        await first.stop()
        for n in range(50, 100):
            await call.send("system", {"n": n})
        await call.flush()
        assert await numbers(second) == list(range(100))


async def test_a_publisher_tries_an_overloaded_gateway_again(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_connections=1)
    async with Publisher(gateway.url, "one"):
        waiting = asyncio.create_task(publish_one(gateway.url, "call"))
        await eventually(lambda: any(task.get_name() == "publisher of call" for task in asyncio.all_tasks()))
    await waiting
    assert await numbers(gateway) == [0]


async def publish_one(url: str, session_id: str) -> None:
    async with Publisher(url, session_id) as call:
        await call.send("system", {"n": 0})


async def test_a_publisher_waits_for_a_gateway_that_is_not_there_yet(gateway: Gateway, relay: Relay) -> None:
    relay.refusing = True
    waiting = asyncio.create_task(publish_one(relay.url, "call"))
    await eventually(lambda: any(task.get_name() == "publisher of call" for task in asyncio.all_tasks()))
    relay.refusing = False
    await waiting
    assert await numbers(gateway) == [0]


async def test_entering_a_publisher_gives_up_after_connect_timeout() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(errors.Unreachable, match="connection refused"):
        async with Publisher(url, "call", connect_timeout=0.3):
            pass


async def test_a_publisher_gives_up_on_a_lost_gateway_after_give_up_after(gateway: Gateway, relay: Relay) -> None:
    call = Publisher(relay.url, "call", give_up_after=0.3)
    await call.open()
    relay.refusing = True
    relay.cut()
    await call.send("system", {"n": 0}, "e1")
    with pytest.raises(errors.Unreachable, match=r"gave up after 0\.3 s"):
        await call.flush()
    await call.close()
    assert [event.event_id for event in call.unanswered()] == ["e1"]


async def test_two_publishers_of_a_session_do_not_take_it_from_each_other_for_ever(
    gateway: Gateway, relay: Relay
) -> None:
    """The publisher superseded while it was away takes over once, as the newer one, and the other stops for good."""
    async with Publisher(relay.url, "call") as first:
        relay.refusing = True
        relay.cut()
        await eventually(lambda: not first.connected)
        second = Publisher(gateway.url, "call")
        await second.open()
        relay.refusing = False
        await first.send("system", {"n": 1})
        await first.flush()
        await eventually(lambda: not second.connected)
        with pytest.raises(errors.Superseded):
            await second.complete()
        await second.close()
    assert await numbers(gateway) == [1]
