"""Gateways that are killed, drained and cut off while the TypeScript client publishes and follows."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.checker import assert_clean
from tests.support.processes import GatewayProcess
from tests.turnwire.relay import Relay
from tests.typescript.node import Node
from tests.typescript.witness import history_of

pytestmark = [pytest.mark.faults, pytest.mark.e2e]
SESSIONS = [f"call-{n}" for n in range(3)]

BEGIN = """
    going = true;
    acked = Object.fromEntries(ids.map((id) => [id, 0]));
    received = {};
    calls = await Promise.all(ids.map((id) => Publisher.open(url, id, { onAck: () => (acked[id] += 1) })));
    streams = calls.map(async (call) => {
      for (let n = 0; going; n++) {
        await call.send('system', { n, of: call.sessionId });
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    });
    readers = ids.map(async (id) => {
      received[id] = [];
      for await (const event of subscribe(url, id, { untilEnded: true })) received[id].push(event);
    });
"""
END = """
    going = false;
    await Promise.all(streams);
    const ended = await Promise.all(calls.map((call) => call.complete({ reason: 'done' })));
    await Promise.all(readers);
    await Promise.all(calls.map((call) => call.close()));
    return { statuses: ended.map((session) => session.status), received, frames };
"""
PROGRESS = "const before = { ...acked }; await until(() => ids.every((id) => acked[id] > before[id] + 40));"


@pytest.fixture
def gateway(database_uri: str, database_name: str, tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway that listens on the same port after each start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with GatewayProcess(
        tmp_path / "gateway",
        mongodb_uri=database_uri,
        mongodb_database=database_name,
        port=port,
        env={"TURNWIRE_PING_INTERVAL": "1"},
    ) as process:
        yield process


async def test_no_promise_is_broken_across_kills_drains_and_silent_paths(gateway: GatewayProcess, node: Node) -> None:
    async with Relay(int(gateway.url.rpartition(":")[2])) as relay:
        await node.run(BEGIN, url=relay.url, ids=SESSIONS)
        for fault in ("kill", "silence", "drain", "kill", "cut"):
            await node.run(PROGRESS)
            await asyncio.sleep(Random(fault).uniform(0, 0.05))
            if fault == "kill":
                await asyncio.to_thread(gateway.kill)
                await asyncio.to_thread(gateway.start)
            elif fault == "drain":
                assert await asyncio.to_thread(gateway.terminate) == 0
                await asyncio.to_thread(gateway.start)
            elif fault == "silence":
                relay.swallow()
            else:
                relay.cut()
        await node.run(PROGRESS)
        result = await node.run(END)
    assert result["statuses"] == ["completed"] * len(SESSIONS)
    histories = [await history_of(gateway.url, each, result["frames"], result["received"][each]) for each in SESSIONS]
    assert_clean(histories)
    for history in histories:
        assert len(history.publishings) >= 6  # each fault made a new connection
        assert len(history.log) == len({sending for each in history.publishings for sending in each.sent}) > 240
