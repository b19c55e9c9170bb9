"""Leaving a publisher: every event is stored, or leaving ends in time, even in a cancelled task."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateways import Gateway
from tests.support.processes import GatewayProcess, running_python
from tests.turnwire.logs import log_of, send_now
from tests.turnwire.relay import Relay, eventually
from turnwire import Client, Publisher, read_spool

SLACK = 3.0
"""Extra seconds, for a machine that does other work too."""


def warnings(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    found = [record for record in caplog.records if record.levelno == logging.WARNING]
    return [record.message for record in found if text in record.message]


async def test_leaving_takes_no_longer_than_drain_timeout_when_the_gateway_is_away(
    gateway: Gateway, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    async with Publisher(relay.url, "call", drain_timeout=0.5) as call:
        relay.refusing = True
        relay.cut()
        for n in range(7):
            call.post("system", {"n": n})
        began = time.monotonic()
    assert 0.4 < time.monotonic() - began < 0.5 + SLACK
    assert [event.payload["n"] for event in call.unanswered()] == list(range(7))
    assert len(warnings(caplog, "7 events without an answer")) == 1


async def test_unsent_events_stay_in_the_spool_after_leaving(
    gateway: Gateway, relay: Relay, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "call.spool"
    async with Publisher(relay.url, "call", drain_timeout=0.2, spool=spool) as call:
        relay.refusing = True
        relay.cut()
        call.post("system", {"n": 1})
    kept = read_spool(spool)
    assert kept is not None
    assert kept.events == call.unanswered()
    assert len(warnings(caplog, f"1 event without an answer (kept in {spool})")) == 1


async def test_leaving_logs_nothing_when_every_event_is_stored(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    async with Publisher(gateway.url, "call") as call:
        call.post("system", {})
    assert warnings(caplog, "") == []


@pytest.mark.parametrize("seconds", [0.0, 0.3])
async def test_leaving_takes_no_longer_than_drain_timeout_on_a_frozen_connection(
    gateway: Gateway, relay: Relay, seconds: float
) -> None:
    call = Publisher(relay.url, "call", drain_timeout=seconds)
    await call.open()
    relay.swallow()
    call.post("system", {})
    began = time.monotonic()
    await call.aclose()
    assert time.monotonic() - began < seconds + SLACK


async def test_unread_bytes_for_a_frozen_gateway_do_not_delay_leaving(gateway: Gateway, relay: Relay) -> None:
    """More bytes than the system buffers, so that not even a close frame can be written."""
    call = Publisher(relay.url, "call", drain_timeout=0.5)
    await call.open()
    relay.stall()
    for n in range(200):
        call.post("system", {"n": n, "text": "x" * 100_000})
    began = time.monotonic()
    await call.aclose()
    assert time.monotonic() - began < 0.5 + SLACK
    assert len(call.unanswered()) == 200


async def test_a_cancelled_task_stores_every_event_before_it_ends(gateway: Gateway, relay: Relay) -> None:
    entered = asyncio.Event()

    async def bot() -> None:
        async with Publisher(relay.url, "call") as call:
            relay.refusing = True
            relay.cut()
            for n in range(50):
                call.post("system", {"n": n})
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(bot())
    await entered.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # cancelled once more, while it leaves
    relay.refusing = False
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [event.payload["n"] for event in await log_of(gateway.url, "call")] == list(range(50))


async def test_a_requested_end_survives_cancellation(gateway: Gateway, relay: Relay) -> None:
    """The session of a task that is cancelled in `complete` does not stay active."""
    call = Publisher(relay.url, "call")

    async def bot() -> None:
        async with call:
            await send_now(call, 1)
            relay.refusing = True
            relay.cut()
            await eventually(lambda: not call.connected)
            call.post("system", {"n": 2})
            await call.complete(reason="hangup")

    task = asyncio.create_task(bot())
    await eventually(lambda: call._delivery.ending is not None)
    task.cancel()
    relay.refusing = False
    with pytest.raises(asyncio.CancelledError):
        await task
    session = await gateway.get("/sessions/call")
    assert (session["status"], session["endReason"], session["lastSeq"]) == ("completed", "hangup", 2)


async def test_a_timeout_around_a_publisher_drains_like_any_cancellation(gateway: Gateway) -> None:
    async def bot() -> None:
        async with asyncio.timeout(None) as limit, Publisher(gateway.url, "call") as call:
            call.post("system", {"n": 1})
            limit.reschedule(0)  # has passed already
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await bot()
    assert len(await log_of(gateway.url, "call")) == 1


async def test_a_second_aclose_waits_for_the_first(gateway: Gateway) -> None:
    call = Publisher(gateway.url, "call")
    call.start()
    call.post("system", {})
    await asyncio.gather(call.aclose(), call.aclose(), call.close())
    assert len(await log_of(gateway.url, "call")) == 1


async def test_a_publisher_that_never_started_is_left_at_once() -> None:
    call = Publisher("http://localhost:1", "call")
    await call.aclose()
    await call.close()


# Other loops, and gateways in processes of their own


@pytest.fixture
def process(database_uri: str, database_name: str, tmp_path: Path) -> Iterator[GatewayProcess]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with GatewayProcess(
        tmp_path / "gateway", mongodb_uri=database_uri, mongodb_database=database_name, port=port
    ) as process:
        yield process


@pytest.mark.e2e
async def test_a_program_that_ends_drains_its_open_publishers(process: GatewayProcess) -> None:
    """`asyncio.run` cancels all tasks at once then, including the publisher's own."""
    with running_python("tests/turnwire/closing_bots.py", process.url, "5", "20") as bots:
        output, errors = await asyncio.to_thread(bots.communicate, timeout=60)
        assert (bots.returncode, output, errors) == (0, "", "")
    async with Client(process.url) as client:
        assert [(await client.get(f"call-{n}")).last_seq for n in range(5)] == [20] * 5


@pytest.mark.e2e
async def test_a_gateway_frozen_or_killed_during_a_call_does_not_delay_the_call(process: GatewayProcess) -> None:
    async with Publisher(process.url, "call", drain_timeout=0.5) as call:
        await send_now(call, 0)
        os.kill(process.pid, signal.SIGSTOP)
        longest = 0.0
        for n in range(1, 501):
            began = time.monotonic()
            call.post("system", {"n": n})
            longest = max(longest, time.monotonic() - began)
            await asyncio.sleep(0)
        assert longest < SLACK
        began = time.monotonic()
    assert time.monotonic() - began < 0.5 + SLACK
    assert len(call.unanswered()) == 500
    os.kill(process.pid, signal.SIGCONT)
    process.kill()
    url = process.url

    async with Publisher(url, "call", wait=False) as call:
        for n in range(1, 501):
            call.post("system", {"n": n})
        await asyncio.to_thread(process.start)
        await call.flush(timeout=20)
    numbers = [event.payload["n"] for event in await log_of(url, "call")]
    assert sorted(set(numbers)) == list(range(501))
