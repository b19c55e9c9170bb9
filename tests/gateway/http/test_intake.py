"""What arrives on an HTTP connection is parsed a slice at a time, in order, within a share of the loop's time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.support.gateways import Gateway
from tests.support.sockets import client_frame
from turnwire.gateway.http.intake import SMALL, Intake
from turnwire.gateway.turns import SLICE_SECONDS, Share

BYTES = bytes(range(256)) * 256
"""As much as one read of a socket that the intake takes for much."""


class Timers:
    """A loop that keeps what is to be called later."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timers:
        self.due.append((delay, callback))
        return self

    def cancel(self) -> None:
        self.due.clear()

    def fire(self) -> float:
        """Call what is due next. Return how long it was put off."""
        (delay, callback) = self.due.pop()
        callback()
        return delay


class Connection:
    """A connection whose parser takes a time for each byte, on a clock of its own."""

    def __init__(self, seconds_a_byte: float = 0.0) -> None:
        self.timers = Timers()
        self.now = 0.0
        self.seconds_a_byte = seconds_a_byte
        self.parsed: list[bytes] = []
        self.is_held = False
        self.is_read = True
        self.is_deaf = False
        self.intake = Intake(self, Share(lambda: self.now, 3.0))

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self.timers  # type: ignore[return-value]  # has what is used of it

    def parse(self, data: bytes) -> bool:
        self.now += len(data) * self.seconds_a_byte
        self.parsed.append(data)
        return not self.is_deaf

    def hold_reading(self) -> None:
        self.is_read = False

    def release_reading(self) -> None:
        self.is_read = True

    @property
    def all_parsed(self) -> bytes:
        return b"".join(self.parsed)


def test_a_quick_parser_gets_larger_and_larger_slices_and_the_socket_is_read_on_in_the_next_pass() -> None:
    connection = Connection()
    connection.intake.take(BYTES)
    assert connection.all_parsed == BYTES
    assert [len(each) for each in connection.parsed[:4]] == [SMALL, 2 * SMALL, 4 * SMALL, 8 * SMALL]
    assert not connection.is_read  # else the loop reads it up to 32 times in a pass
    connection.timers.fire()
    assert (connection.is_read, connection.timers.due) == (True, [])


def test_a_little_is_parsed_without_a_pause() -> None:
    connection = Connection()
    connection.intake.take(BYTES[:20_000])
    assert (connection.all_parsed, connection.is_read, connection.timers.due) == (BYTES[:20_000], True, [])


def test_a_slow_parser_gets_a_slice_of_time_and_then_three_times_as_long_a_pause() -> None:
    connection = Connection(seconds_a_byte=1e-6)
    connection.intake.take(BYTES)
    assert connection.now <= SLICE_SECONDS + SMALL * 1e-6
    slices = 1
    while connection.timers.due:
        assert (connection.timers.due[0][0] >= 3 * SLICE_SECONDS, connection.is_read) == (True, False)
        connection.now = began = connection.now + connection.timers.due[0][0]
        connection.timers.fire()
        assert connection.now - began <= SLICE_SECONDS + SMALL * 1e-6
        slices += 1
    assert (connection.all_parsed, connection.is_read, slices) == (BYTES, True, 32)


def test_what_arrives_during_a_pause_comes_after_what_waits() -> None:
    connection = Connection(seconds_a_byte=1e-6)
    connection.intake.take(BYTES)
    connection.intake.take(b"more")
    while connection.timers.due:
        connection.timers.fire()
    assert (connection.all_parsed, connection.intake.waits) == (BYTES + b"more", False)


def test_nothing_is_parsed_while_the_parser_is_held() -> None:
    connection = Connection()
    connection.is_held = True
    connection.intake.take(BYTES)
    connection.timers.fire()
    assert (connection.parsed, connection.timers.due, connection.is_read) == ([], [], False)
    connection.is_held = False
    connection.intake.resumed()
    while connection.timers.due:
        connection.timers.fire()
    assert (connection.all_parsed, connection.is_read) == (BYTES, True)


def test_a_connection_whose_bytes_are_dropped_is_read_twenty_times_a_second() -> None:
    connection = Connection()
    connection.is_deaf = True
    for _ in range(3):
        connection.intake.take(BYTES)
        assert (len(connection.all_parsed) <= 3 * SMALL, connection.is_read) == (True, False)
        assert connection.timers.fire() == pytest.approx(0.05)
        assert connection.is_read


def test_a_connection_that_is_gone_is_passed_nothing_more() -> None:
    connection = Connection(seconds_a_byte=1e-6)
    connection.intake.take(BYTES)
    parsed = len(connection.parsed)
    connection.intake.stop()
    assert (connection.timers.due, len(connection.parsed)) == ([], parsed)


async def test_bodies_in_chunks_of_a_byte_and_what_follows_a_handshake_arrive_whole(gateway: Gateway) -> None:
    metadata = {"text": "x" * 20_000}
    body = json.dumps({"sessionId": "s", "language": "en", "metadata": metadata}).encode()
    head = "POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(f"{head}\r\n\r\n".encode() + chunks)
    writer.write(b"GET /sessions/s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answers = await reader.read()
    assert answers.count(b"x" * 20_000) == 2
    writer.close()


async def test_frames_that_come_with_the_handshake_are_taken_in_their_order(gateway: Gateway) -> None:
    pings = b"".join(client_frame(b'{"type":"ping","ref":"%d"}' % number) for number in range(100))
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = "GET /subscribe HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    writer.write(head.encode() + pings)
    await reader.readuntil(b"\r\n\r\n")
    refs: list[str] = []
    async with asyncio.timeout(10):
        while len(refs) < 100:
            _, length = await reader.readexactly(2)
            message = json.loads(await reader.readexactly(length))
            if message["type"] == "pong":
                refs.append(message["ref"])
    assert refs == [str(number) for number in range(100)]
    writer.close()
