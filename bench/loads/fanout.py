"""One publisher and many subscribers. Each event is sent once all subscribers have the one before, or at a fixed
rate."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial

import msgspec
from msgspec import Struct

from bench.events import append_frame, long_call
from bench.meter import Figures, Meter, Target, latencies_ms, percentile
from bench.wire import Socket, client_frame

_AT_ONCE = 100


class Fanout(Struct, frozen=True, kw_only=True, tag=True):
    target: Target
    prefix: str
    subscribers: int
    events: int
    in_flight: int = 1
    """Maximum number of events that may be on their way to subscribers at the same time."""
    rate: float = 0.0
    """Maximum number of events per second; 0 means no limit."""

    async def run(self) -> Figures:
        """Return CPU per delivery, and the times from sending an event to its ack and to its last delivery."""
        session_id = f"{self.prefix}-0"
        frames = [client_frame(append_frame([event])) for event in long_call(session_id, self.events).events]
        counts = _Counts(self.subscribers)
        path = f"/sessions/{session_id}/publish?language=en"
        publisher = await Socket.connect(self.target.address, path, counts.take_reply)
        await counts.wait(lambda: counts.opened)
        subscribers = await self._subscribe(session_id, counts)
        meter, spans, warm = Meter(self.target), [], len(frames) // 10
        began: deque[float] = deque()
        sent: list[float] = []
        first = time.perf_counter()
        for number, frame in enumerate([*frames, *[b""] * self.in_flight], start=1):
            arrived = number - self.in_flight
            if arrived > 0:
                await counts.wait(partial(counts.all_have, arrived))
                span = time.perf_counter() - began.popleft()
                if arrived > warm:
                    spans.append(span)
            if arrived == warm:
                meter.start()
            if frame:
                if self.rate:
                    await asyncio.sleep(first + number / self.rate - time.perf_counter())
                began.append(time.perf_counter())
                sent.append(began[-1])
                publisher.write(frame)
        meter.stop()
        for socket in [publisher, *subscribers]:
            socket.close()
        deliveries = (len(frames) - warm) * self.subscribers
        acks = [acked - sent for sent, acked in zip(sent[warm:], counts.acked_at[warm:], strict=True)]
        figures = {**meter.per(deliveries, "deliveries"), **latencies_ms("ack", acks)}
        return {**figures, "all_p50_ms": percentile(spans, 0.5) * 1e3}

    async def _subscribe(self, session_id: str, counts: _Counts) -> list[Socket]:
        command = {"type": "subscribe", "ref": "a", "sessionId": session_id}
        frame = client_frame(msgspec.json.encode(command))
        sockets: list[Socket] = []
        while len(sockets) < self.subscribers:
            some = min(_AT_ONCE, self.subscribers - len(sockets))
            connecting = (Socket.connect(self.target.address, "/subscribe", counts.take_push) for _ in range(some))
            connected = await asyncio.gather(*connecting)
            for socket in connected:
                socket.write(frame)
            sockets += connected
        await counts.wait(lambda: counts.joined == self.subscribers)
        return sockets


class _Counts:
    """Counts of what has arrived, over all sockets. Wakes waiting tasks when their condition may hold."""

    def __init__(self, subscribers: int) -> None:
        self.opened = False
        self.joined = self.delivered = 0
        self.acked_at: list[float] = []
        self._subscribers = subscribers
        self._event = asyncio.Event()

    def all_have(self, events: int) -> bool:
        return len(self.acked_at) >= events and self.delivered >= events * self._subscribers

    async def wait(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._event.clear()
            await self._event.wait()

    def take_reply(self, payload: bytes) -> None:
        if payload.startswith(b'{"type":"ack"'):
            self.acked_at += [time.perf_counter()] * payload.count(b'"seq":')
        elif payload.startswith(b'{"type":"opened"'):
            self.opened = True
        self._event.set()

    def take_push(self, payload: bytes) -> None:
        if payload.startswith(b'{"type":"events"'):
            before = self.delivered // self._subscribers
            self.delivered += payload.count(b'"eventId":')
            if self.delivered // self._subscribers > before:
                self._event.set()
        elif payload.startswith(b'{"type":"caughtUp"'):
            self.joined += 1
            self._event.set()
