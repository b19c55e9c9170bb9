"""The publisher against a gateway that does what it should: events, ends, refusals, limits."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from protocol.messages import EventIn, SignalPush
from tests.support.gateways import Gateway, StartGateway, new_id
from tests.turnwire.relay import eventually
from turnwire import Acked, Client, Event, NackItem, Publisher, errors, subscribe


async def send_now(call: Publisher, n: int) -> None:
    """Returns when the gateway has answered."""
    await call.send("system", {"n": n})
    await call.flush()


async def log_of(url: str, session_id: str) -> list[Event]:
    async with Client(url) as client:
        return [event async for event in client.export(session_id)]


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_what_is_sent_is_stored_in_order_and_exactly(gateway: Gateway, codec: Literal["json", "msgpack"]) -> None:
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


async def test_leaving_waits_until_all_is_stored(gateway: Gateway) -> None:
    async with Publisher(gateway.ws_url, "call") as call:
        for n in range(600):
            await call.send("bot_speech", {"n": n})
    assert len(await log_of(gateway.url, "call")) == 600


async def test_the_author_may_choose_ids_and_times(gateway: Gateway) -> None:
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


@pytest.mark.parametrize("session_id", ["a/b", "50% of ü?#&", "..", "a%2Fb", " "])
async def test_a_session_id_may_be_anything(gateway: Gateway, session_id: str) -> None:
    async with Publisher(gateway.url, session_id) as call:
        await call.send("system", {})
        assert (await call.complete()).session_id == session_id
    assert [event.session_id for event in await log_of(gateway.url, session_id)] == [session_id]


async def test_metadata_is_that_of_the_new_session(gateway: Gateway) -> None:
    async with Publisher(gateway.url, "call", metadata={"bot": "b1"}) as call:
        assert call.session is not None
        assert call.session.metadata == {"bot": "b1"}
    async with Publisher(gateway.url, "call", metadata={"bot": "b2"}) as call:
        assert call.session is not None
        assert call.session.metadata == {"bot": "b1"}


async def test_acks_are_told_with_their_latency(gateway: Gateway) -> None:
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


# Ends


async def test_complete_comes_after_all_events_and_says_how_the_session_ended(gateway: Gateway) -> None:
    async with Publisher(gateway.url, "call") as call:
        for n in range(300):
            await call.send("system", {"n": n})
        session = await call.complete("failed", "no_answer")
        assert (session.status, session.end_reason, session.last_seq) == ("failed", "no_answer", 300)
        assert await call.complete() == session
        with pytest.raises(errors.PublisherClosed):
            await call.send("system", {})
    assert (await gateway.get("/sessions/call"))["endedAt"] == session.ended_at


async def test_in_the_grace_time_late_events_are_stored(gateway: Gateway) -> None:
    async with Client(gateway.url) as client:
        await client.create("call")
        ended = await client.complete("call", reason="hangup")
    async with Publisher(gateway.url, "call") as call:
        await call.send("bot_speech", {"text": "Goodbye"})
        assert await call.complete("failed") == (await Client(gateway.url, http=gateway.client).get("call"))
    assert call.session is not None
    assert call.session.ended_at == ended.ended_at
    assert [event.payload for event in await log_of(gateway.url, "call")] == [{"text": "Goodbye"}]


async def test_after_the_grace_time_new_events_are_an_error_and_stored_ones_are_not(
    start_gateway: StartGateway,
) -> None:
    gateway = await start_gateway(end_grace=0)
    async with Publisher(gateway.url, "call") as call:
        await call.send("system", {"n": 1}, "e1")
        await call.send("system", {"n": 2}, "e2")
        ended = await call.complete()

    acks: list[Acked] = []
    async with Publisher(gateway.url, "call", on_ack=acks.append) as again:
        await send_if_open(again, "e1", 1)
        await send_if_open(again, "e2", 2)
        assert await again.complete() == ended
    assert all(ack.duplicate for ack in acks)

    async def late() -> None:
        async with Publisher(gateway.url, "call") as call:
            await send_now(call, 3)

    with pytest.raises(errors.SessionEnded):
        await late()
    assert [event.event_id for event in await log_of(gateway.url, "call")] == ["e1", "e2"]


async def send_if_open(call: Publisher, event_id: str, number: int) -> None:
    """The gateway closes the connection as soon as it can."""
    try:
        await call.send("system", {"n": number}, event_id)
    except errors.SessionEnded:
        assert call.pending == 0


async def test_a_session_that_ends_elsewhere_ends_the_publisher(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=0.2)
    call = Publisher(gateway.url, "call")
    await call.open()
    await send_now(call, 1)
    await gateway.post("/sessions/call/complete", {"reason": "operator"})
    await eventually(lambda: not call.connected)
    with pytest.raises(errors.SessionEnded):
        await send_now(call, 2)
    await call.close()
    assert call.session is not None
    assert call.session.end_reason == "operator"


# Refusals


async def test_refused_events_are_raised_once_by_flush_and_spoil_nothing(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    async with Publisher(gateway.url, "call") as call:
        await call.send("system", {"n": 1}, "e1")
        await call.send("system", {"n": 2}, "e1")
        await call.send("system", {"n": 3}, "e3")
        with caplog.at_level(logging.WARNING, "turnwire"), pytest.raises(errors.EventsRejected, match="'e1'") as raised:
            await call.flush()
        assert [(nack.event_id, nack.code) for nack in raised.value.nacks] == [("e1", "event_conflict")]
        assert call.nacks == raised.value.nacks
        assert "refused" in caplog.text
        await call.flush()
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == [1, 3]


async def test_refused_events_go_to_the_callback_if_there_is_one(gateway: Gateway) -> None:
    nacks: list[NackItem] = []
    async with Publisher(gateway.url, "call", on_nack=nacks.append) as call:
        await call.send("system", {"n": 1}, "e1")
        await call.send("system", {"n": 2}, "e1")
        await call.send("system", {}, "x" * 257)
        await call.complete()
    assert [(nack.event_id, nack.code) for nack in nacks] == [("e1", "event_conflict"), ("x" * 257, "invalid_event")]


async def test_a_refused_event_does_not_keep_the_session_from_ending(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL, "turnwire"):
        async with Publisher(gateway.url, "call") as call:
            await call.send("system", {"n": 1}, "e1")
            await call.send("system", {"n": 2}, "e1")
            with pytest.raises(errors.EventsRejected) as raised:
                await call.complete()
    assert raised.value.session is not None
    assert raised.value.session.status == "completed"


async def test_what_cannot_be_an_event_is_refused_before_it_is_queued(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_event_bytes=2000)
    deep: dict[str, Any] = {}
    for _ in range(1000):
        deep = {"a": deep}
    bad: list[tuple[Any, ...]] = [
        ("speech", {}),
        ("system", {"n": 2**63}),
        ("system", {"n": float("nan")}),
        ("system", {"n": {1, 2}}),
        ("system", {"n": b"bytes"}),
        ("system", {"nul\0": 1}),
        ("system", {"text": "x" * 2000}),
        ("system", deep),
        ("system", {}, ""),
        ("system", {}, "e1", "yesterday"),
        ("system", {}, "e1", datetime(2026, 1, 1)),  # noqa: DTZ001 - that it has no offset is the point
    ]
    async with Publisher(gateway.url, "call") as call:
        for arguments in bad:
            with pytest.raises(errors.InvalidEvent):
                await call.send(*arguments)
        with pytest.raises(errors.InvalidEvent):
            await call.signal("", {})
        with pytest.raises(errors.InvalidEvent):
            await call.signal("key", {"n": float("inf")})
        with pytest.raises(ValueError, match="reason"):
            await call.complete(reason="")
        assert call.pending == 0
        await call.send("system", {"text": "fine"})
    assert call.nacks == []


async def test_an_unknown_session_is_an_error_when_none_is_to_be_made(gateway: Gateway) -> None:
    with pytest.raises(errors.SessionNotFound):
        async with Publisher(gateway.url, "nobody", language=None):
            pass


@pytest.mark.parametrize(
    "arguments",
    [{"url": "nowhere"}, {"session_id": ""}, {"codec": "xml"}, {"max_outbox": 0}],
)
def test_wrong_arguments_are_errors_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each says something of its own
        Publisher(**{"url": "http://localhost", "session_id": "s", **arguments})


async def test_an_id_that_is_too_long_is_the_gateways_to_refuse(gateway: Gateway) -> None:
    with pytest.raises(errors.Refused):
        async with Publisher(gateway.url, "x" * 257):
            pass


async def test_another_publisher_takes_over(gateway: Gateway) -> None:
    first = Publisher(gateway.url, "call")
    await first.open()
    await send_now(first, 1)
    async with Publisher(gateway.url, "call") as second:
        await second.send("system", {"n": 2})
        await eventually(lambda: not first.connected)
        with pytest.raises(errors.Superseded) as raised:
            await send_now(first, 3)
        assert raised.value.close_code == 4409
    await first.close()
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == [1, 2]


# Limits


async def test_no_more_is_in_flight_and_no_frame_is_larger_than_the_gateway_allows(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_in_flight=4, max_frame_bytes=3000, max_event_bytes=2000)
    seen: list[int] = []
    async with Publisher(gateway.url, "call", on_ack=lambda _: seen.append(call._delivery.outbox.in_flight)) as call:
        for n in range(100):
            await call.send("system", {"n": n, "text": "x" * (n * 18)})
    assert max(seen) < 4
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == list(range(100))


async def test_sending_waits_while_the_outbox_is_full_and_keeps_the_order_of_its_callers(gateway: Gateway) -> None:
    async with Publisher(gateway.url, "call", max_outbox=3) as call:
        await asyncio.gather(*(call.send("system", {"n": n}) for n in range(200)))
        assert call.pending <= 3
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == list(range(200))


async def test_our_own_times_do_not_go_back(gateway: Gateway) -> None:
    async with Publisher(gateway.url, "call") as call:
        for _ in range(500):
            await call.send("system", {})
    times = [event.timestamp for event in await log_of(gateway.url, "call")]
    assert times == sorted(times)


# Signals, and life


async def test_signals_are_seen_and_not_stored(gateway: Gateway) -> None:
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


async def test_an_error_in_the_block_is_the_one_that_is_raised_and_what_was_sent_is_stored(gateway: Gateway) -> None:
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


async def test_a_cancelled_block_ends_at_once(gateway: Gateway) -> None:
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


async def test_a_publisher_that_was_not_opened_says_so() -> None:
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
