"""`post` and `hint` never wait and never raise, whatever the gateway does."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateways import Gateway, StartGateway
from tests.turnwire.logs import log_of
from tests.turnwire.relay import Relay, eventually
from turnwire import Publisher, errors, read_spool

SOON = 3.0
"""Seconds within which a call without waiting returns, on a machine that does other work too. Waiting takes longer."""


@pytest.fixture
def nowhere() -> str:
    """The URL of a port where nothing listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


async def test_events_posted_from_a_plain_callback_are_stored_in_order(gateway: Gateway) -> None:
    def callback(call: Publisher, n: int) -> None:
        call.post("user_speech", {"n": n}, event_id=f"e{n}")
        call.hint("user_speech", {"text": "on the way"})

    async with Publisher(gateway.url, "call") as call:
        for n in range(300):
            callback(call, n)
        assert call.dropped == 0
    assert [event.event_id for event in await log_of(gateway.url, "call")] == [f"e{n}" for n in range(300)]


async def test_a_gateway_down_at_the_start_gets_every_event_when_it_comes(gateway: Gateway, relay: Relay) -> None:
    relay.refusing = True
    began = time.monotonic()
    async with Publisher(relay.url, "call", language="de", metadata={"bot": "b1"}, wait=False) as call:
        for n in range(100):
            call.post("system", {"n": n})
            call.hint("user_speech", {"n": n})
        assert time.monotonic() - began < SOON
        assert len(call.unanswered()) == 100
        relay.refusing = False
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == list(range(100))
    session = await gateway.get("/sessions/call")
    assert (session["language"], session["metadata"]) == ("de", {"bot": "b1"})


async def test_start_opens_a_publisher_from_a_plain_function(gateway: Gateway) -> None:
    call = Publisher(gateway.url, "call")
    call.start()
    call.post("system", {"n": 1})
    await call.aclose()
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == [1]
    with pytest.raises(errors.PublisherClosed):
        call.start()


async def test_a_gateway_that_never_answers_costs_the_call_nothing() -> None:
    """A frozen gateway: the kernel accepts the connection, and nothing answers."""
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        call = Publisher(f"http://127.0.0.1:{frozen.getsockname()[1]}", "call", drain_timeout=0.2)
        began = time.monotonic()
        call.start()
        for n in range(50):
            call.post("system", {"n": n})
        assert time.monotonic() - began < SOON
        await call.aclose()
        assert time.monotonic() - began < 0.2 + 2 * SOON
    assert len(call.unanswered()) == 50


async def test_posts_beyond_the_outbox_are_dropped_counted_and_logged_once(
    nowhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    call = Publisher(nowhere, "call", max_outbox=10, drain_timeout=0)
    call.start()
    for n in range(15):
        call.post("system", {"n": n}, event_id=f"e{n}")
    await call.aclose()
    assert call.dropped == 5
    assert [event.event_id for event in call.unanswered()] == [f"e{n}" for n in range(10)]
    told = [record.message for record in caplog.records if "drops events" in record.message]
    assert len(told) == 1
    assert "10 wait already" in told[0]
    assert "10 events without an answer (only `unanswered()` has them), 5 dropped" in caplog.text


async def test_posts_beyond_the_outbox_go_to_the_spool(
    gateway: Gateway, relay: Relay, nowhere: str, tmp_path: Path
) -> None:
    spool = tmp_path / "call.spool"
    relay.refusing = True
    call = Publisher(relay.url, "call", max_outbox=10, spool=spool, drain_timeout=0)
    call.start()
    for n in range(500):
        call.post("system", {"n": n})
    await call.aclose()
    assert call.dropped == 0
    kept = read_spool(spool)
    assert kept is not None
    assert len(kept.events) == 500
    assert kept.language == "en"
    relay.refusing = False
    async with Publisher(relay.url, "call", max_outbox=10, spool=spool):
        pass
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == list(range(500))


async def test_post_raises_only_for_a_bad_payload_and_at_once(nowhere: str) -> None:
    """Even before the gateway has told its limits, and even if nothing can be taken."""
    deep: dict[str, Any] = {}
    for _ in range(65):
        deep = {"a": deep}
    call = Publisher(nowhere, "call", drain_timeout=0)
    for _ in range(2):
        for bad in ({"n": float("nan")}, {"n": 2**63}, {1: 2}, {"text": "x" * 200_000}, deep, ["no", "object"], None):
            with pytest.raises(errors.InvalidEvent):
                call.post("system", bad)  # type: ignore[arg-type]
        with pytest.raises(errors.InvalidEvent):
            call.post("system", {}, event_id=7)  # type: ignore[arg-type]
        with pytest.raises(errors.InvalidEvent):
            call.post("system", {}, timestamp=7.0)  # type: ignore[arg-type]
        with pytest.raises(errors.InvalidEvent):
            call.hint("key", {"n": float("inf")})
        if not call._life.has_started:
            call.start()
    assert (call.dropped, call.pending) == (0, 0)
    await call.aclose()


async def test_post_enforces_the_depth_that_the_gateway_allows(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_depth=3)
    async with Publisher(gateway.url, "call") as call:
        call.post("system", {"a": {"b": {}}})
        with pytest.raises(errors.InvalidEvent, match="limit of 3 levels"):
            call.post("system", {"a": {"b": {"c": {}}}})
    assert call.nacks == []


async def test_post_and_hint_raise_neither_before_opening_nor_after_the_end(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    call = Publisher(gateway.url, "call")
    call.post("system", {})
    call.hint("a", {})
    async with call:
        await call.complete()
        call.post("system", {})
        call.hint("a", {})
    call.post("system", {})
    call.hint("a", {})
    assert call.dropped == 3


async def test_a_payload_given_to_hint_may_change_afterwards(gateway: Gateway) -> None:
    async with Publisher(gateway.url, "call") as call:
        payload: dict[str, Any] = {"n": 1}
        call.hint("a", payload)
        payload["n"] = {1, 2}  # a value that cannot be encoded
        call.post("system", {"n": 2})
    assert len(await log_of(gateway.url, "call")) == 1


async def test_post_does_not_raise_after_a_takeover(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    first = Publisher(gateway.url, "call")
    await first.open()
    async with Publisher(gateway.url, "call") as second:
        await eventually(lambda: not first.connected)
        for _ in range(3):
            first.post("system", {})
        await second.send("system", {})
    await first.aclose()
    assert first.dropped == 3
    stops = [record for record in caplog.records if "has stopped" in record.message]
    assert len(stops) == 1
    assert stops[0].levelno == logging.WARNING


async def test_leaving_without_waiting_raises_nothing_that_the_gateway_did(gateway: Gateway) -> None:
    """The last line of a call must not fail because somebody else has its log."""
    async with Publisher(gateway.url, "call", wait=False) as call:
        call.post("system", {"n": 1}, event_id="e1")
        await call.flush()
        call.post("system", {"n": 2}, event_id="e1")  # refused: it is stored with another payload
        await eventually(lambda: call.refused == 1)
        async with Publisher(gateway.url, "call"):
            await eventually(lambda: call.error is not None)
    assert isinstance(call.error, errors.Superseded)
    assert [nack.event_id for nack in call.nacks] == ["e1"]


async def test_error_is_none_unless_the_publisher_stopped_by_itself(gateway: Gateway) -> None:
    async with Publisher(gateway.url, "call", wait=False) as call:
        assert call.error is None
        await call.complete()
    assert call.error is None


async def test_other_threads_may_post_and_hint(gateway: Gateway) -> None:
    """Callbacks of some SDKs come in threads of their own."""
    async with Publisher(gateway.url, "call", wait=False) as call:

        def callback(thread: int) -> None:
            for n in range(100):
                call.post("system", {"thread": thread, "n": n})
                call.hint("user", {"n": n})

        await asyncio.gather(*(asyncio.to_thread(callback, thread) for thread in range(3)))
        await call.flush()
    stored = [event.payload for event in await log_of(gateway.url, "call")]
    for thread in range(3):
        assert [each["n"] for each in stored if each["thread"] == thread] == list(range(100))


@pytest.mark.parametrize("foreign", [True, False])
def test_post_and_hint_raise_nothing_when_their_event_loop_is_closed(nowhere: str, foreign: bool) -> None:
    loop = asyncio.new_event_loop()
    call = Publisher(nowhere, "call", wait=False)

    async def start() -> None:
        call.start()
        await asyncio.sleep(0)  # its task waits for something now

    async def stop() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert call._life._own_http is not None
        await call._life._own_http.close()

    def use() -> None:
        call.post("system", {})
        call.hint("user", {})

    loop.run_until_complete(start())
    loop.run_until_complete(stop())
    loop.close()
    if foreign:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(use).result()
    else:
        use()
    assert call.pending + call.dropped == 1


async def test_each_raise_is_a_new_exception(gateway: Gateway) -> None:
    """An exception raised again and again would collect a traceback each time, and everything its frames hold."""
    first = Publisher(gateway.url, "call")
    await first.open()
    async with Publisher(gateway.url, "call"):
        await eventually(lambda: not first.connected)
        raised: list[errors.Superseded] = []
        for _ in range(50):
            with pytest.raises(errors.Superseded) as caught:
                await first.send("system", {})
            raised.append(caught.value)
            await asyncio.sleep(0)
    await first.close()
    assert len({id(error) for error in raised}) == 50
    assert all(error.close_code == 4409 for error in raised)
    assert depth(raised[-1]) == depth(raised[0])


def depth(error: BaseException) -> int:
    """Return the number of frames in its traceback."""
    frames, trace = 0, error.__traceback__
    while trace is not None:
        frames, trace = frames + 1, trace.tb_next
    return frames
