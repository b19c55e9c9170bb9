"""The publisher with a gateway that works: events, ids, limits, signals."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from tests.support.gateways import Gateway, StartGateway, new_id
from tests.turnwire.logs import log_of
from tests.turnwire.relay import eventually
from turnwire import Acked, Event, Publisher, errors, subscribe
from turnwire.protocol.messages import EventIn, SignalPush


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_sent_events_are_stored_exactly_and_in_order(gateway: Gateway, codec: Literal["json", "msgpack"]) -> None:
    payloads: list[dict[str, Any]] = [
        {"n": n, "text": "Grüß \U0001f600", "deep": {"a": [1.5, None]}} for n in range(50)
    ]
    async with Publisher(gateway.url, "call", language="de", codec=codec) as call:
        ids = [await call.send("user_speech", payload) for payload in payloads]
        await call.flush()
        assert call.pending == 0
        assert call.connected
    events = await log_of(gateway.url, "call")
    assert [event.payload for event in events] == payloads
    assert [event.event_id for event in events] == ids
    assert [event.seq for event in events] == list(range(1, 51))
    assert (await gateway.get("/sessions/call"))["language"] == "de"


async def test_leaving_waits_until_every_event_is_stored(gateway: Gateway) -> None:
    async with Publisher(gateway.ws_url, "call") as call:
        for n in range(600):
            await call.send("bot_speech", {"n": n})
    assert len(await log_of(gateway.url, "call")) == 600


async def test_a_bot_may_choose_event_ids_and_timestamps(gateway: Gateway) -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    async with Publisher(gateway.url, "call") as call:
        assert await call.send("system", {}, "first", moment) == "first"
        assert await call.send("system", {}, "second", "2026-03-01T14:00:01+02:00") == "second"
        assert await call.send(EventIn("third", "system", {"a": 1}, moment + timedelta(seconds=2))) == "third"
        await call.send("system", {})
    first, second, third, fourth = await log_of(gateway.url, "call")
    assert first.timestamp == "2026-03-01T12:00:00.123Z"
    assert second.timestamp == "2026-03-01T12:00:01.000Z"
    assert third.timestamp == "2026-03-01T12:00:02.123Z"
    assert before <= datetime.fromisoformat(fourth.timestamp) <= datetime.now(UTC)


@pytest.mark.parametrize("session_id", ["a/b", "50% of ü?#&", "...", "a%2Fb", " "])
async def test_a_publisher_works_with_any_session_id(gateway: Gateway, session_id: str) -> None:
    async with Publisher(gateway.url, session_id) as call:
        await call.send("system", {})
        assert (await call.complete()).session_id == session_id
    assert [event.session_id for event in await log_of(gateway.url, session_id)] == [session_id]


async def test_a_publishers_metadata_is_stored_with_a_new_session(gateway: Gateway) -> None:
    async with Publisher(gateway.url, "call", metadata={"bot": "b1"}) as call:
        assert call.session is not None
        assert call.session.metadata == {"bot": "b1"}
    async with Publisher(gateway.url, "call", metadata={"bot": "b2"}) as call:
        assert call.session is not None
        assert call.session.metadata == {"bot": "b1"}


async def test_on_ack_gets_each_ack_with_its_latency(gateway: Gateway) -> None:
    acks: list[Acked] = []
    async with Publisher(gateway.url, "call", on_ack=acks.append) as call:
        for event_id in ("a", "b", "a"):
            await call.send("system", {}, event_id)
    assert [(ack.event_id, ack.seq, ack.duplicate) for ack in acks] == [
        ("a", 1, False),
        ("b", 2, False),
        ("a", 1, True),
    ]
    assert all(0 < ack.latency < 20 for ack in acks)


# Limits


async def test_a_publisher_respects_max_in_flight_and_max_frame_bytes(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_in_flight=4, max_frame_bytes=3000, max_event_bytes=2000)
    seen: list[int] = []
    async with Publisher(gateway.url, "call", on_ack=lambda _: seen.append(call._delivery.outbox.in_flight)) as call:
        for n in range(100):
            await call.send("system", {"n": n, "text": "x" * (n * 18)})
    assert max(seen) < 4
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == list(range(100))


async def test_a_publisher_respects_max_batch_events(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_batch_events=5)
    async with Publisher(gateway.url, "call") as call:
        for n in range(203):
            await call.send("system", {"n": n})
        assert (await call.complete()).last_seq == 203
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == list(range(203))


async def test_sending_waits_while_the_outbox_is_full_and_keeps_the_order_of_its_callers(gateway: Gateway) -> None:
    async with Publisher(gateway.url, "call", max_outbox=3) as call:
        await asyncio.gather(*(call.send("system", {"n": n}) for n in range(200)))
        assert call.pending <= 3
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == list(range(200))


async def test_timestamps_made_by_the_publisher_do_not_go_back(gateway: Gateway) -> None:
    async with Publisher(gateway.url, "call") as call:
        for _ in range(500):
            await call.send("system", {})
    times = [event.timestamp for event in await log_of(gateway.url, "call")]
    assert times == sorted(times)


# Signals, and the life of a publisher


async def test_signals_of_a_publisher_reach_subscribers_and_are_not_stored(gateway: Gateway) -> None:
    signals: list[SignalPush] = []
    async with Publisher(gateway.url, "call") as call:
        live = asyncio.Event()
        subscription = subscribe(
            gateway.url, "call", on_signal=signals.append, on_caught_up=lambda _: live.set(), until_ended=True
        )

        async def follow() -> list[Event]:
            return [event async for event in subscription]

        following = asyncio.create_task(follow())
        await live.wait()
        await call.signal("interim", {"text": "Hel"})
        await eventually(lambda: len(signals) > 0)
        await call.send("user_speech", {"text": "Hello"})
        await call.complete()
        assert [event.payload for event in await following] == [{"text": "Hello"}]
    assert [(signal.key, signal.payload) for signal in signals] == [("interim", {"text": "Hel"})]


async def test_an_exception_in_the_block_propagates_and_sent_events_are_stored(gateway: Gateway) -> None:
    call = Publisher(gateway.url, "call")

    async def bot() -> None:
        async with call:
            await call.send("system", {"n": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await bot()
    assert len(await log_of(gateway.url, "call")) == 1
    with pytest.raises(errors.PublisherClosed):
        await call.send("system", {})


async def test_a_cancelled_publisher_block_ends_at_once(gateway: Gateway) -> None:
    entered = asyncio.Event()

    async def bot() -> None:
        async with Publisher(gateway.url, "call") as call:
            await call.send("system", {"n": 1})
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(bot())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_publisher_used_before_opening_raises() -> None:
    call = Publisher("http://localhost:1", "call")
    for wrong in (call.send("system", {}), call.flush(), call.complete(), call.signal("a", {})):
        with pytest.raises(errors.PublisherClosed):
            await wrong
    await call.close()


async def test_many_publishers_share_one_http_session(gateway: Gateway) -> None:
    ids = [new_id("call") for _ in range(150)]

    async def publish(session_id: str) -> None:
        async with Publisher(gateway.url, session_id, http=gateway.client) as call:
            await call.send("system", {"id": session_id})
            await everyone.wait()
            await call.complete()

    everyone = asyncio.Barrier(len(ids))
    gateway.client.connector._limit = 0  # type: ignore[union-attr]
    await asyncio.gather(*(publish(session_id) for session_id in ids))
    assert not gateway.client.closed
