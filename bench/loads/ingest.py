"""Sessions that publish as fast as their acks allow."""

from __future__ import annotations

import asyncio
import time

from msgspec import Struct

from bench.events import append_frame, long_call
from bench.meter import Figures, Meter, Target, latencies_ms
from bench.wire import Socket, client_frame


class Ingest(Struct, frozen=True, kw_only=True, tag=True):
    """A load of `sessions` publishers, each with at most `in_flight` unanswered events, `per_frame` in each frame."""

    target: Target
    prefix: str
    events: int
    """The events of each session."""
    per_frame: int
    sessions: int = 50
    in_flight: int = 32

    async def run(self) -> Figures:
        """Return events per second, ack latencies and CPU per event, without the first and the last tenth."""
        tally = _Tally(self)
        publishers = [_Publisher(self, tally, number) for number in range(self.sessions)]
        await asyncio.gather(*(publisher.open() for publisher in publishers))
        for publisher in publishers:
            publisher.pump()
        await tally.done
        for publisher in publishers:
            publisher.socket.close()
        counted = tally.counted
        return {**tally.meter.per(counted, "events"), **latencies_ms("ack", tally.latencies)}


class _Tally:
    """A count of all publishers' acks, which measures while the load is steady."""

    def __init__(self, load: Ingest) -> None:
        total = load.events * load.sessions
        self.meter = Meter(load.target)
        self.latencies: list[float] = []
        self.counted = 0
        self.measuring = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._acked = self._began = 0
        self._from, self._to, self._total = total // 10, total - total // 10, total

    def add(self, count: int) -> None:
        self._acked += count
        if not self.measuring and not self.counted and self._acked >= self._from:
            self.measuring = True
            self._began = self._acked
            self.meter.start()
        elif self.measuring and self._acked >= self._to:
            self.measuring = False
            self.counted = self._acked - self._began
            self.meter.stop()
        if self._acked >= self._total:
            self.done.set_result(None)

    def fail(self, text: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(text))


class _Publisher:
    def __init__(self, load: Ingest, tally: _Tally, number: int) -> None:
        self._load = load
        self._tally = tally
        self._session_id = f"{load.prefix}-{number}"
        events = long_call(self._session_id, load.events).events
        self._frames = [
            client_frame(append_frame(events[start : start + load.per_frame]))
            for start in range(0, load.events, load.per_frame)
        ]
        self._sent_at: list[float] = []
        self._next = self._acked = 0
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        path, target = f"/sessions/{self._session_id}/publish?language=en", self._load.target
        self.socket = await Socket.connect(target.address, path, self._take, key=target.key)
        await self._opened

    def pump(self) -> None:
        """Send the frames for which the window has room."""
        load = self._load
        room = (load.in_flight - (len(self._sent_at) - self._acked)) // load.per_frame
        frames = self._frames[self._next : self._next + max(0, room)]
        if not frames:
            return
        self._next += len(frames)
        self._sent_at += [time.perf_counter()] * min(len(frames) * load.per_frame, load.events - len(self._sent_at))
        self.socket.write(b"".join(frames))

    def _take(self, payload: bytes) -> None:
        if not payload.startswith(b'{"type":"ack"'):
            if payload.startswith(b'{"type":"opened"'):
                self._opened.set_result(None)
            else:
                self._tally.fail(payload.decode())
            return
        count = payload.count(b'"seq":')
        if self._tally.measuring:
            now = time.perf_counter()
            self._tally.latencies += [now - sent for sent in self._sent_at[self._acked : self._acked + count]]
        self._acked += count
        self._tally.add(count)
        self.pump()
