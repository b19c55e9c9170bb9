"""Events at a steady rate over many sessions, with or without a subscriber each: the time until ack and delivery."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from bench.events import append_frame, long_call
from bench.meter import Figures, Meter, Target, latencies_ms, percentile
from bench.wire import Socket, client_frame


class Paced(Struct, frozen=True, kw_only=True, tag=True):
    target: Target
    prefix: str
    rate: float
    """Events per second, over all sessions."""
    seconds: float
    sessions: int = 50
    watched: bool = True
    warm_up: float = 0.0
    """Seconds of the same load that are not measured."""
    watched_at: list[Target] = []
    """Further gateways, among which the subscribers are divided. If there are none, the subscribers are at `target`."""

    async def run(self) -> Figures:
        """Return the latencies from sending to the ack, and from the ack to the subscriber if there is one."""
        session_count = min(self.sessions, max(1, round(self.rate * self.seconds)))
        sessions = [_Session(self, number) for number in range(session_count)]
        for session in sessions:
            await session.open()
        await _send(sessions, self.rate, round(self.rate * self.warm_up))
        for session in sessions:
            session.forget()
        meter = Meter(self.target)
        meter.start()
        count = round(self.rate * self.seconds)
        await _send(sessions, self.rate, count)
        meter.stop()
        for session in sessions:
            session.close()
        acks = [acked - sent for each in sessions for sent, acked in zip(each.sent, each.acked, strict=True)]
        figures = {**meter.per(count, "events"), **latencies_ms("ack", acks)}
        if not self.watched:
            return figures
        beyond = [seen - acked for each in sessions for acked, seen in zip(each.acked, each.seen, strict=True)]
        return {
            **figures,
            "beyond_ack_p50_ms": percentile(beyond, 0.5) * 1e3,
            "beyond_ack_p99_ms": percentile(beyond, 0.99) * 1e3,
        }


async def _send(sessions: Sequence[_Session], rate: float, count: int) -> None:
    """Send this many events, spread over the sessions in turn, and wait for their acks and deliveries."""
    loop = asyncio.get_running_loop()
    began = loop.time() + 0.05
    for number in range(count):
        loop.call_at(began + number / rate, sessions[number % len(sessions)].send)
    await asyncio.sleep(count / rate)
    for session in sessions:
        await session.wait_for_all()


class _Session:
    """A publisher and perhaps a subscriber of one session. Times are on this process's clock."""

    def __init__(self, load: Paced, number: int) -> None:
        self._load = load
        self._watched_at = load.watched_at[number % len(load.watched_at)] if load.watched_at else load.target
        self._session_id = f"{load.prefix}-{number}"
        total = load.rate * (load.seconds + load.warm_up)
        call = long_call(self._session_id, round(total / min(load.sessions, total)) + 50)
        self._frames = iter([client_frame(append_frame([event])) for event in call.events])
        self.sent: list[float] = []
        self.acked: list[float] = []
        self.seen: list[float] = []
        self._changed = asyncio.Event()
        self._ready = 0

    async def open(self) -> None:
        address = self._load.target.address
        path = f"/sessions/{self._session_id}/publish?language=en"
        self._publisher = await Socket.connect(address, path, self._take_reply)
        await self._until_ready(1)
        if not self._load.watched:
            return
        self._subscriber = await Socket.connect(self._watched_at.address, "/subscribe", self._take_push)
        command = {"type": "subscribe", "ref": "a", "sessionId": self._session_id}
        self._subscriber.write(client_frame(msgspec.json.encode(command)))
        await self._until_ready(2)

    async def _until_ready(self, stage: int) -> None:
        while self._ready < stage:
            self._changed.clear()
            await self._changed.wait()

    def send(self) -> None:
        frame = next(self._frames)
        self.sent.append(time.perf_counter())
        self._publisher.write(frame)

    async def wait_for_all(self) -> None:
        heard = [self.acked, self.seen] if self._load.watched else [self.acked]
        while min(map(len, heard)) < len(self.sent):
            self._changed.clear()
            await self._changed.wait()

    def forget(self) -> None:
        """Drop the times measured so far."""
        for times in (self.sent, self.acked, self.seen):
            times.clear()

    def close(self) -> None:
        self._publisher.close()
        if self._load.watched:
            self._subscriber.close()

    def _take_reply(self, payload: bytes) -> None:
        if payload.startswith(b'{"type":"ack"'):
            self.acked += [time.perf_counter()] * payload.count(b'"seq":')
        elif payload.startswith(b'{"type":"opened"'):
            self._ready = 1
        self._changed.set()

    def _take_push(self, payload: bytes) -> None:
        if payload.startswith(b'{"type":"events"'):
            self.seen += [time.perf_counter()] * len(msgspec.json.decode(payload)["events"])
        elif payload.startswith(b'{"type":"caughtUp"'):
            self._ready = 2
        self._changed.set()
