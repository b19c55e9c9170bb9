"""How a publisher's session ends, and what the gateway refuses."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from typing import Any

import pytest

from tests.support.gateways import Gateway, StartGateway
from tests.turnwire.logs import log_of, send_now
from tests.turnwire.relay import eventually
from turnwire import Acked, Client, NackItem, Publisher, errors


async def test_complete_takes_effect_after_all_events_and_returns_the_ended_session(gateway: Gateway) -> None:
    async with Publisher(gateway.url, "call") as call:
        for n in range(300):
            await call.send("system", {"n": n})
        session = await call.complete("failed", "no_answer")
        assert (session.status, session.end_reason, session.last_seq) == ("failed", "no_answer", 300)
        assert await call.complete() == session
        with pytest.raises(errors.PublisherClosed):
            await call.send("system", {})
    assert (await gateway.get("/sessions/call"))["endedAt"] == session.ended_at


async def test_late_events_are_stored_in_the_grace_time(gateway: Gateway) -> None:
    async with Client(gateway.url) as client:
        await client.create("call")
        ended = await client.complete("call", reason="hangup")
    async with Publisher(gateway.url, "call") as call:
        await call.send("bot_speech", {"text": "Goodbye"})
        assert await call.complete("failed") == (await Client(gateway.url, http=gateway.client).get("call"))
    assert call.session is not None
    assert call.session.ended_at == ended.ended_at
    assert [event.payload for event in await log_of(gateway.url, "call")] == [{"text": "Goodbye"}]


async def test_after_the_grace_time_new_events_raise_and_stored_ones_do_not(
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


async def test_a_publisher_stops_when_someone_else_ends_its_session(start_gateway: StartGateway) -> None:
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


async def test_flush_raises_refused_events_once_and_the_others_are_stored(
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


async def test_refused_events_go_to_on_nack_if_given(gateway: Gateway) -> None:
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


async def test_an_invalid_event_is_refused_before_it_is_queued(start_gateway: StartGateway) -> None:
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


async def test_an_unknown_session_raises_if_language_is_none(gateway: Gateway) -> None:
    with pytest.raises(errors.SessionNotFound):
        async with Publisher(gateway.url, "nobody", language=None):
            pass


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"url": "nowhere"}, "'nowhere' is not the URL of a gateway, such as http://localhost:3000"),
        ({"url": None}, "None is not the URL of a gateway, such as http://localhost:3000"),
        ({"session_id": ""}, "the session id must not be empty"),
        ({"session_id": 7}, "the session id must be a string, not int"),
        ({"session_id": ".."}, "the session id must not be .."),
        ({"session_id": "\ud83d"}, "the session id must be valid Unicode"),
        ({"codec": "xml"}, "the codec must be one of json, msgpack, not 'xml'"),
        ({"max_outbox": 0}, "max_outbox must be 1 or more, not 0"),
        ({"drain_timeout": -1}, "drain_timeout must be 0 or more seconds, not -1"),
        ({"language": ""}, "the language must have 1 to 64 characters, not 0"),
        ({"language": None, "metadata": {}}, "metadata is for a new session, which needs a language"),
        ({"metadata": ["bot"]}, "metadata must be a dict, not list"),
        ({"metadata": {"bot": object()}}, "metadata.bot: a value of the type object is not a JSON value"),
        ({"metadata": {"bot": "\ud83d"}}, "metadata cannot be encoded"),
        ({"token": "a\n"}, "a token must consist of visible ASCII characters, without spaces and line breaks"),
    ],
)
def test_wrong_arguments_of_a_publisher_raise_at_once(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Publisher(**{"url": "http://localhost", "session_id": "s", **arguments})


async def test_an_event_id_that_is_too_long_is_refused_by_the_gateway(gateway: Gateway) -> None:
    with pytest.raises(errors.Refused):
        async with Publisher(gateway.url, "x" * 257):
            pass


async def test_a_publisher_that_is_taken_over_raises_superseded(gateway: Gateway) -> None:
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


@pytest.mark.parametrize(
    ("status", "reason"), [("over", None), ("completed", 7), ("completed", ""), ("completed", "\ud83d")]
)
async def test_an_end_that_no_gateway_takes_is_refused_at_once_and_costs_no_event(
    gateway: Gateway, status: Any, reason: Any
) -> None:
    async with Publisher(gateway.url, "call") as call:
        call.post("system", {"n": 1})
        with pytest.raises(ValueError, match=r"the (status|reason) must"):
            await call.complete(status, reason)
        call.post("system", {"n": 2})
        await call.complete()
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == [1, 2]
