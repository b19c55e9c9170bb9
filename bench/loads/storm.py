"""A storm: kill -9 of a gateway under load, a new gateway in its place, and all clients come back at once."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random

import msgspec
from msgspec import Struct

from bench.events import append_frame, long_call
from bench.meter import Figures, Target, percentile
from bench.wire import HttpConnection, Socket, client_frame, http_request

_EVERY_SECONDS = 0.5
"""Seconds between two events of a publisher. A publisher that is back sends one at once."""
_BEFORE_SECONDS = 1.0
"""Seconds for which events flow until the gateway is killed."""
_RETRY_SECONDS = (0.1, 0.5)
_PROBE_SECONDS = 0.002
_PATIENCE_SECONDS = 1.0
_EVENTS = 480
"""Maximum number of events in a publisher, which suffice for the longest time of a load."""
_SEQ = re.compile(rb'"seq":(\d+)')
_AT_ONCE = 100


class Storm(Struct, frozen=True, kw_only=True, tag=True):
    """The storm. All times are from the kill; the next process is started immediately after it."""

    target: Target
    prefix: str
    command: list[str]
    """Starts the next gateway, on the same port."""
    directory: str
    environment: dict[str, str]
    subscribers: int
    sessions: int = 20

    async def run(self) -> Figures:
        """Return the milliseconds until the port is open, and until publishers have acks and subscribers have events
        that were sent after the kill. Raises ValueError if a subscriber misses an event or gets one twice."""
        calls = [_Call(self, number) for number in range(self.sessions)]
        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(call.publish()) for call in calls]
            await asyncio.gather(*(call.opened.wait() for call in calls))
            for start in range(0, self.subscribers, _AT_ONCE):
                some = [_Subscriber(self, calls, n) for n in range(start, min(start + _AT_ONCE, self.subscribers))]
                clients += [group.create_task(each.follow()) for each in some]
                await asyncio.gather(*(each.joined for each in some))
            await asyncio.sleep(_BEFORE_SECONDS)
            os.kill(self.target.server, signal.SIGKILL)
            killed = time.perf_counter()
            for call in calls:
                call.killed()
            following = await asyncio.create_subprocess_exec(
                *self.command, cwd=self.directory, env=self.environment, stdout=subprocess.DEVNULL
            )
            try:
                await self._listens()
                listening = time.perf_counter()
                acked = await asyncio.gather(*(call.acked_again for call in calls))
                live = await asyncio.gather(*(one for call in calls for one in call.live_again))
            finally:
                for client in clients:
                    client.cancel()
                following.terminate()
                await following.wait()
        return {
            "listening_ms": (listening - killed) * 1e3,
            "publishers_all_ms": (max(acked) - killed) * 1e3,
            "subscribers_p50_ms": (percentile(list(live), 0.5) - killed) * 1e3,
            "subscribers_all_ms": (max(live) - killed) * 1e3,
        }

    async def _listens(self) -> None:
        """Wait for an answer, because the kernel accepts connections for a killed process until it is gone."""
        while True:
            with suppress(OSError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    connection = await HttpConnection.connect(self.target.address)
                    await connection.ask(http_request("GET", "/health/live"))
                connection.close()
                return
            await asyncio.sleep(_PROBE_SECONDS)


class _Call:
    """A session: its publisher, which repeats events without an ack, and its progress when the gateway was killed."""

    def __init__(self, storm: Storm, number: int) -> None:
        self.session_id = f"{storm.prefix}-{number}"
        self.acked_again: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.live_again: list[asyncio.Future[float]] = []
        """One for each subscriber."""
        self.sent_before: int | None = None
        """The number of events sent until the kill."""
        self._storm = storm
        self._frames = [client_frame(append_frame([each])) for each in long_call(self.session_id, _EVENTS).events]
        self._sent = self._acked = 0
        self.opened = asyncio.Event()

    def killed(self) -> None:
        self.sent_before = self._sent

    async def publish(self) -> None:
        path = f"/sessions/{self.session_id}/publish?language=en"
        random = Random(self.session_id)
        while True:
            socket = await _connect(self._storm.target, path, self._take, random)
            for frame in self._frames[self._acked : self._sent]:
                socket.write(frame)
            while not socket.closed.done():
                socket.write(self._frames[self._sent])
                self._sent += 1
                await asyncio.sleep(_EVERY_SECONDS)

    def _take(self, payload: bytes) -> None:
        if payload.startswith(b'{"type":"opened"'):
            self.opened.set()
        elif payload.startswith(b'{"type":"ack"'):
            self._acked = max(self._acked, *map(int, _SEQ.findall(payload)))
            if self.is_new(self._acked) and not self.acked_again.done():
                self.acked_again.set_result(time.perf_counter())

    def is_new(self, seq: int) -> bool:
        """Return whether the event at this position was sent after the kill."""
        return self.sent_before is not None and seq > self.sent_before


class _Subscriber:
    def __init__(self, storm: Storm, calls: list[_Call], number: int) -> None:
        loop = asyncio.get_running_loop()
        self.joined: asyncio.Future[None] = loop.create_future()
        self._live: asyncio.Future[float] = loop.create_future()
        self._storm = storm
        self._call = calls[number % len(calls)]
        self._call.live_again.append(self._live)
        self._random = Random(number)
        self._last = 0

    async def follow(self) -> None:
        while True:
            socket = await _connect(self._storm.target, "/subscribe", self._take, self._random)
            command = {"type": "subscribe", "ref": "a", "sessionId": self._call.session_id, "afterSeq": self._last}
            socket.write(client_frame(msgspec.json.encode(command)))
            await socket.closed

    def _take(self, payload: bytes) -> None:
        if payload.startswith(b'{"type":"events"'):
            for seq in map(int, _SEQ.findall(payload)):
                if seq != self._last + 1 and not self._live.done():
                    self._live.set_exception(ValueError(f"seq={seq} came after {self._last}"))
                self._last = seq
            if self._call.is_new(self._last) and not self._live.done():
                self._live.set_result(time.perf_counter())
        elif payload.startswith(b'{"type":"caughtUp"') and not self.joined.done():
            self.joined.set_result(None)


async def _connect(target: Target, path: str, take: Callable[[bytes], None], random: Random) -> Socket:
    """Try until a connection is open."""
    while True:
        with suppress(OSError):
            return await Socket.connect(target.address, path, take)
        await asyncio.sleep(random.uniform(*_RETRY_SECONDS))
