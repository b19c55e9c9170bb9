"""Several workers on one port: `turnwire serve --workers`."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import aiohttp
import psutil
import pytest

from tests.support.processes import GatewayProcess, is_running, wait_until
from turnwire import Publisher, subscribe

WORKERS = 3
ARGS = ["--workers", str(WORKERS)]


@pytest.fixture(scope="module")
def gateway(database_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway for this file. Each test uses its own sessions, and leaves all workers running."""
    name = f"test-{uuid4().hex}"
    folder = tmp_path_factory.mktemp("gateway")
    with GatewayProcess(folder, mongodb_uri=database_uri, mongodb_database=name, args=ARGS) as process:
        yield process


def workers_of(gateway: GatewayProcess) -> set[int]:
    found = set()
    for child in psutil.Process(gateway.pid).children():
        with suppress(psutil.NoSuchProcess):  # the process is a zombie for a moment
            if "serve" in child.cmdline():
                found.add(child.pid)
    return found


async def metrics(gateway: GatewayProcess) -> dict[str, float]:
    async with aiohttp.ClientSession() as http, http.get(f"{gateway.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#") and "{" not in line}


async def append_from_new_connections(gateway: GatewayProcess, session_id: str, count: int) -> None:
    """Send each event on its own connection, so that every worker gets some."""
    for number in range(count):
        event = {"eventId": f"e{number}", "type": "user_speech", "payload": {"n": number}}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{gateway.url}/sessions/{session_id}/events", json=event) as answer,
        ):
            assert answer.status == 201, await answer.text()


async def create(gateway: GatewayProcess, session_id: str) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{gateway.url}/sessions", json={"sessionId": session_id, "language": "en"}) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def test_workers_share_the_port_the_database_and_the_metrics(gateway: GatewayProcess) -> None:
    assert len(workers_of(gateway)) == WORKERS
    await create(gateway, "shared")
    before = (await metrics(gateway)).get("turnwire_events_stored_total", 0)
    await append_from_new_connections(gateway, "shared", 30)
    async with aiohttp.ClientSession() as http, http.get(f"{gateway.url}/sessions/shared") as answer:
        session = await answer.json()
    assert (session["lastSeq"], session["status"]) == (30, "active")
    assert (await metrics(gateway))["turnwire_events_stored_total"] == before + 30


async def test_a_killed_worker_is_started_again(gateway: GatewayProcess) -> None:
    victim = min(workers_of(gateway))
    os.kill(victim, signal.SIGKILL)
    await asyncio.to_thread(
        wait_until, lambda: len(workers_of(gateway) - {victim}) == WORKERS, "a new worker in its place", 30
    )
    await create(gateway, "after")


@pytest.mark.timeout(240)
async def test_sighup_replaces_the_workers_without_losing_an_event_or_refusing_a_request(
    gateway: GatewayProcess,
) -> None:
    before = workers_of(gateway)
    await create(gateway, "call")
    seen: list[int] = []

    async def watch() -> None:
        async for event in subscribe(gateway.url, "call", after_seq=0):
            seen.append(event.seq)
            if event.seq == 200:
                return

    watching = asyncio.create_task(watch())
    async with Publisher(gateway.url, "call") as call:
        for number in range(200):
            await call.send("bot_speech", {"n": number}, event_id=f"e{number}")
            if number == 20:
                gateway.process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.02)
            if number % 20 == 0:
                async with aiohttp.ClientSession() as http, http.get(f"{gateway.url}/sessions/call") as answer:
                    assert answer.status == 200
        await call.flush()
    async with asyncio.timeout(20):
        await watching
    assert seen == list(range(1, 201))
    await asyncio.to_thread(wait_until, lambda: not before & workers_of(gateway), "all workers replaced", 150)


async def test_sigterm_ends_all_workers_and_their_database_in_time(tmp_path: Path) -> None:
    async with GatewayProcess(tmp_path, args=ARGS) as gateway:
        processes = {child.pid for child in psutil.Process(gateway.pid).children()}
        assert processes > workers_of(gateway)
        async with Publisher(gateway.url, "open", language="en"):
            assert await asyncio.to_thread(gateway.terminate) == 0
    assert not [pid for pid in processes if is_running(pid)]
