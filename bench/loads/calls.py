"""Whole calls: publishers create sessions, stream events and complete them, while a dashboard follows the feed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.events import EVENTS_OF_A_CALL, CallScript, append_frame, made_up_call, recorded_calls
from bench.meter import Figures, Meter, Target, latencies_ms
from bench.wire import Socket, client_frame

_DAY = 86_400
_COMPLETE = client_frame(b'{"type":"complete"}')


class Calls(Struct, frozen=True, kw_only=True, tag=True):
    """A load of `concurrency` calls at a time, with one event in each frame and at most `in_flight` unacked events of a
    call.

    With a `file`, the calls are those recorded in it, at most `calls` of them, as fast as possible.
    """

    target: Target
    prefix: str
    calls: int
    concurrency: int
    in_flight: int
    file: str | None = None

    async def run(self) -> Figures:
        """Return calls per second and per day, events, CPU per call, and ack latencies, without the first calls."""
        calls = list(self._calls())
        feed = await self._follow_feed()
        warm = min(len(calls) // 10, 4 * self.concurrency)
        await self._stream(iter(calls[:warm]), [])
        latencies: list[float] = []
        meter = Meter(self.target)
        meter.start()
        await self._stream(iter(calls[warm:]), latencies)
        meter.stop()
        feed.close()
        figures = meter.per(len(calls) - warm, "calls")
        events = sum(len(call.events) for call in calls[warm:])
        return {
            **figures,
            "calls_per_day": figures["calls_per_s"] * _DAY,
            "events_per_s": events / figures["seconds"],
            **latencies_ms("ack", latencies),
        }

    def _calls(self) -> Iterator[CallScript]:
        if self.file is not None:
            return recorded_calls(Path(self.file), f"{self.prefix}-", self.calls)
        return (made_up_call(f"{self.prefix}-{number}", EVENTS_OF_A_CALL) for number in range(self.calls))

    async def _follow_feed(self) -> Socket:
        socket = await Socket.connect(self.target.address, "/subscribe", lambda payload: None)
        socket.write(client_frame(msgspec.json.encode({"type": "subscribe", "ref": "feed", "feed": "sessions"})))
        return socket

    async def _stream(self, calls: Iterator[CallScript], latencies: list[float]) -> None:
        async def worker() -> None:
            for call in calls:
                await _Publisher(self, call, latencies).run()

        async with asyncio.TaskGroup() as workers:
            for _ in range(self.concurrency):
                workers.create_task(worker())


class _Publisher:
    """The publisher of one call."""

    def __init__(self, load: Calls, call: CallScript, latencies: list[float]) -> None:
        self._load = load
        self._path = f"/sessions/{call.session_id}/publish?language={call.language}"
        self._frames = [client_frame(append_frame([event])) for event in call.events]
        self._latencies = latencies
        self._sent_at: list[float] = []
        self._acked = 0
        self._completed = False

    async def run(self) -> None:
        self._socket: Socket | None = None
        self._socket = await Socket.connect(self._load.target.address, self._path, self._take)
        self._pump()  # in case `opened` arrived before this line
        code = await self._socket.closed
        if not self._completed:
            raise RuntimeError(f"{self._path}: closed with {code} before it was completed")

    def _pump(self) -> None:
        if self._socket is None:
            return
        sent = len(self._sent_at)
        frames = self._frames[sent : self._acked + self._load.in_flight]
        if frames:
            self._sent_at += [time.perf_counter()] * len(frames)
            if sent + len(frames) == len(self._frames):
                frames = [*frames, _COMPLETE]
            self._socket.write(b"".join(frames))

    def _take(self, payload: bytes) -> None:
        if payload.startswith(b'{"type":"ack"'):
            count, now = payload.count(b'"seq":'), time.perf_counter()
            self._latencies += [now - sent for sent in self._sent_at[self._acked : self._acked + count]]
            self._acked += count
            self._pump()
        elif payload.startswith(b'{"type":"completed"'):
            self._completed = self._acked == len(self._frames)
            assert self._socket is not None
            self._socket.close()
