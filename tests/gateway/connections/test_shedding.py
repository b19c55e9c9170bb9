"""Bytes that wait for slow readers are bounded in all: beyond it, the slowest are ended, streams included."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from tests.gateway.access.wired import allowed, start_guarded
from tests.support.gateways import StartGateway
from tests.support.passes import Passes
from tests.support.sockets import subscriber
from turnwire.gateway.connections.large_answers import LargeAnswer
from turnwire.gateway.connections.liveness import Liveness
from turnwire.gateway.connections.open_connections import Kind, OpenConnections
from turnwire.gateway.turns import A_FEW, Turns


class Reader:
    """A WebSocket or a stream for which this many bytes wait."""

    kind: Kind = "subscriber"
    closing: asyncio.Future[None] | None = None
    look_at = 0.0
    is_owed = False

    def __init__(self, waiting_bytes: int) -> None:
        self.waiting_bytes = waiting_bytes
        self.ended: list[object] = []

    def check_alive(self, now: float) -> None:
        """It is alive."""

    def judge_again(self) -> None: ...
    def goaway(self, reason: str, after: float) -> None: ...
    def abort(self) -> None: ...

    def close(self, code: int, reason: str) -> None: ...
    def end(self) -> None: ...
    def shed(self) -> None:
        self.ended.append("shed")


@pytest.mark.parametrize(
    ("most", "sockets", "streams", "answer"),
    [
        (1200, [[], []], [[], []], []),
        (1199, [[], []], [["shed"], []], []),
        (649, [[], ["shed"]], [["shed"], []], []),
        (349, [[], ["shed"]], [["shed"], []], ["shed"]),
        (0, [[], []], [[], []], []),
    ],
)
async def test_the_slowest_readers_are_ended_until_the_others_are_within_the_bound(
    most: int, sockets: list[list[object]], streams: list[list[object]], answer: list[object]
) -> None:
    connections = OpenConnections()
    some, more = Reader(100), Reader(300)
    most_of_all, least = Reader(550), Reader(50)
    large = Reader(200)
    connections.answers.add(large)
    connections.connections |= {some, more}
    connections.followers |= {most_of_all, least}
    assert connections.waiting_bytes == 1200
    await Liveness(connections, lambda: 0.0, Turns(), 1.0, most_bytes=most).keep_alive()
    assert connections.bytes_seen == 1200
    assert [some.ended, more.ended] == sockets
    assert [most_of_all.ended, least.ended] == streams
    assert large.ended == answer


class Asked(Reader):
    """A WebSocket that says when it is looked at, and when it is ended."""

    def __init__(self, size: int, passes: Passes) -> None:
        self._passes = passes
        super().__init__(size)

    @property
    def waiting_bytes(self) -> int:
        self._passes.done(20e-6)
        return self._size

    @waiting_bytes.setter
    def waiting_bytes(self, size: int) -> None:
        self._size = size

    def shed(self) -> None:
        self._passes.done(20e-6)
        super().shed()


async def test_very_many_slow_readers_are_looked_at_and_ended_a_few_at_a_time() -> None:
    passes, connections = Passes(), OpenConnections()
    readers = [Asked(size, passes) for size in range(400)]
    connections.connections.update(readers)
    gone = readers[-1]
    gone.closing = asyncio.get_running_loop().create_future()
    with passes:
        most = sum(range(100)) + 399
        await Liveness(connections, lambda: 0.0, Turns(passes.clock), 1.0, most_bytes=most).keep_alive()
    assert [len(reader.ended) for reader in readers] == [0] * 100 + [1] * 299 + [0]
    assert passes.most <= 2 * A_FEW + 2


class Transport:
    """The transport of a large answer."""

    def __init__(self) -> None:
        self.waiting = 1000
        self.is_open = True

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.is_open = False


def test_an_answer_is_cut_off_when_its_reader_has_stopped_and_not_while_it_is_slow() -> None:
    transport = Transport()
    answer = LargeAnswer(cast("asyncio.Transport", transport), 10.0, lambda: None)
    for now in range(100):
        answer.check_alive(float(now))
        transport.waiting -= now % 8 == 0  # a byte now and then
    assert transport.is_open
    for now in range(100, 112):
        answer.check_alive(float(now))
    assert not transport.is_open


async def test_a_list_that_nobody_reads_counts_among_what_waits_and_is_cut_off(
    start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "turnwire.audit")
    gateway = await start_gateway(max_all_outbox_bytes=1024 * 1024)
    for _ in range(100):
        await gateway.create(metadata={"text": "x" * 60_000})
    connections = gateway.gateway.connections
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]), limit=1024)
    writer.write(b"GET /sessions?limit=100 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while not connections.answers:
        await asyncio.sleep(0.001)
    while connections.answers:
        await asyncio.sleep(0.01)
    read = 0
    with suppress(ConnectionError):
        while part := await reader.read(65536):
            read += len(part)
    assert read < 5_000_000  # of 6 MB
    writer.close()
    assert len((await gateway.get("/sessions?limit=100"))["sessions"]) == 100
    assert connections.answers == set()
    assert limits_in(caplog) == [("anonymous", "all_outbox_bytes")]


async def test_ending_slow_readers_is_audited_once_a_minute_for_each_client(
    start_gateway: StartGateway, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("INFO", "turnwire.audit")
    gateway = await start_guarded(start_gateway, tmp_path)
    session_id = await gateway.create()
    sockets = [await subscriber(gateway) for _ in range(2)]
    sse = {"Accept": "text/event-stream", **allowed("session:read")}
    async with gateway.request("GET", f"/sessions/{session_id}/events", headers=sse) as stream:
        open_connections = gateway.gateway.connections
        for connection in open_connections.connections:
            connection.shed()
        for follower in open_connections.followers:
            follower.shed()
        assert [await each.close_code() for each in sockets] == [1013, 1013]
        await stream.read()
    assert limits_in(caplog) == [("key:root", "all_outbox_bytes"), ("sub:alice", "all_outbox_bytes")]


def limits_in(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Who has hit which limit, as the audit says."""
    rows = [json.loads(record.getMessage()) for record in caplog.records if record.name == "turnwire.audit"]
    return [(row["who"], row["limit"]) for row in rows if row["audit"] == "limited"]
