"""Bytes that wait for slow readers are bounded in all: beyond it, the slowest are ended, streams included."""

from __future__ import annotations

import asyncio

import pytest

from turnwire.gateway.connections.liveness import Liveness
from turnwire.gateway.connections.open_connections import Kind, OpenConnections


class Reader:
    """A WebSocket or a stream for which this many bytes wait."""

    kind: Kind = "subscriber"
    closing: asyncio.Task[None] | None = None

    def __init__(self, waiting_bytes: int) -> None:
        self.waiting_bytes = waiting_bytes
        self.ended: list[object] = []

    def check_alive(self, now: float) -> None:
        """It is alive."""

    def judge_again(self) -> None: ...
    def goaway(self, reason: str, after: float) -> None: ...
    def abort(self) -> None: ...

    def close(self, code: int, reason: str) -> None:
        self.ended.append(code)

    def end(self) -> None:
        self.ended.append("end")


@pytest.mark.parametrize(
    ("most", "sockets", "streams"),
    [
        (1000, [[], []], [[], []]),
        (999, [[], []], [["end"], []]),
        (449, [[], [1013]], [["end"], []]),
        (0, [[], []], [[], []]),
    ],
)
async def test_the_slowest_readers_are_ended_until_the_others_are_within_the_bound(
    most: int, sockets: list[list[object]], streams: list[list[object]]
) -> None:
    connections = OpenConnections()
    some, more = Reader(100), Reader(300)
    most_of_all, least = Reader(550), Reader(50)
    connections.connections |= {some, more}
    connections.followers |= {most_of_all, least}
    assert connections.waiting_bytes == 1000
    await Liveness(connections, lambda: 0.0, 1.0, most_bytes=most).keep_alive()
    assert [some.ended, more.ended] == sockets
    assert [most_of_all.ended, least.ended] == streams
