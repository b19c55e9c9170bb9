"""Publishers that put a gateway under load and keep the whole history of what they saw.

They speak the protocol by themselves, independently of the client library (except for commands): a publisher
reconnects, drops what `opened` reports as stored, and sends the rest again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from random import Random
from typing import Any

import aiohttp
from msgspec import Struct

from tests.support.history import Answer, History, Publishing, sending_of
from tests.support.load.client import Client, Target, frame_of
from tests.support.load.obedience import Obedience
from turnwire.protocol.control.messages import CommandPush
from turnwire.protocol.errors import CloseCode
from turnwire.protocol.messages import (
    Ack,
    Append,
    EventIn,
    Nack,
    Opened,
    PublisherReply,
)

_RESEND_EVENTS = 50
_MOST_WAITING = 4000
"""How many events a publisher holds while it cannot send; then it makes no new ones."""


class Waiting(Struct):
    """An event without an answer, and when it was made, on the loop's clock."""

    event: EventIn
    made_at: float


class LoadPublisher(Client):
    """Makes `rate` events a second in frames of 1 to 5, until told to finish. Each is sent until it is answered."""

    MOST_AT_ONCE = 5
    """Events of one frame. The publisher pauses after it."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        target: Target,
        name: str,
        random: Random,
        *,
        history: History,
        rate: float,
        obeys: bool = False,
    ) -> None:
        """`obeys`: whether it takes commands."""
        super().__init__(http, target, name, random)
        self.history = history
        self.rate = rate
        self.reclaims = False
        """Whether it connects again after another publisher has taken over."""
        self.waiting: deque[Waiting] = deque()
        self.acked: list[tuple[float, float]] = []
        """For each ack: when it came, and how long after the event was made."""
        self.opened_at: list[float] = []
        self.superseded = False
        self._frames: deque[int] = deque()  # sizes of the frames not sent yet on this connection
        self._sent = 0  # of the waiting events, on this connection
        self._made = 0
        self._finishing = False
        self._work = asyncio.Event()
        self._obedience = Obedience(name, history, Random(random.random()), self._work.set, obeys=obeys)

    async def run(self) -> None:
        """Publish until finished, or until another publisher has taken over."""
        producing = asyncio.create_task(self._produce())
        try:
            while not (self._finishing and not self.waiting) and not self.superseded:
                self.closes.append(await self._serve())
                self.superseded = self.closes[-1] == CloseCode.SUPERSEDED and not self.reclaims
                if not self.superseded:
                    await self.pause()
        finally:
            producing.cancel()
            self._obedience.close()
            await asyncio.wait([producing])

    def told_opened(self) -> None:
        """Wait for a connection."""

    def finish(self) -> None:
        """Make no more events, and end when all are answered."""
        self._finishing = True
        self._work.set()

    async def _produce(self) -> None:
        while not self._finishing:
            count = self.random.randint(1, self.MOST_AT_ONCE)
            if len(self.waiting) < _MOST_WAITING:
                self.make(count)
            await asyncio.sleep(count / self.rate)

    def make(self, count: int) -> None:
        """Queue new events for one frame."""
        now = asyncio.get_running_loop().time()
        self.waiting += [Waiting(self._event(), now) for _ in range(count)]
        self._frames.append(count)
        self._work.set()

    def _event(self) -> EventIn:
        self._made += 1
        text = "".join(self.random.choices('aé漢 "\\\n0', k=self.random.randint(0, 60)))
        payload: dict[str, Any] = {"text": text, "number": self._made, "score": self.random.random()}
        if self.random.random() < 0.2:
            payload["words"] = [{"w": text[:5], "at": self.random.randint(-(2**63), 2**63 - 1)}, None, True, []]
        kind = self.random.choice(("user_speech", "bot_speech", "system"))
        return EventIn(f"{self.name}-{self._made}", kind, payload)  # type: ignore[arg-type]

    async def _serve(self) -> int | None:
        """Serve one connection to its end."""
        try:
            ws = await self.connect(f"/sessions/{self.history.session_id}/publish?language=en")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        sending: asyncio.Task[None] | None = None
        try:
            async with ws:
                publishing = self._open(await ws.receive())
                if publishing is None:
                    return ws.close_code
                sending = asyncio.create_task(self._send_all(ws, publishing))
                async for message in ws:
                    frame = frame_of(message)
                    if frame is not None:
                        self._hear(publishing, self.codec.decode_publisher_reply(frame))
            return ws.close_code
        finally:
            self._obedience.disconnected()
            if sending is not None:
                sending.cancel()
                await asyncio.wait([sending])

    def _open(self, message: aiohttp.WSMessage) -> Publishing | None:
        frame = frame_of(message)
        opened = None if frame is None else self.codec.decode_publisher_reply(frame)
        if not isinstance(opened, Opened):
            return None
        publishing = Publishing(self.name, self.process, opened.epoch, opened.last_seq, opened.last_event_id)
        self.history.publishings.append(publishing)
        self.opened_at.append(asyncio.get_running_loop().time())
        self._obedience.connected(opened)
        self.told_opened()
        if any(each.event.event_id == opened.last_event_id for each in self.waiting):
            while self.waiting.popleft().event.event_id != opened.last_event_id:
                pass
        self._sent = 0
        self._frames.clear()
        left = len(self.waiting)
        self._frames += [min(_RESEND_EVENTS, left - start) for start in range(0, left, _RESEND_EVENTS)]
        self._window = opened.limits.max_in_flight
        self._work.set()
        self.news.set()
        return publishing

    async def _send_all(self, ws: aiohttp.ClientWebSocketResponse[Any], publishing: Publishing) -> None:
        try:
            while True:
                while (said := self._obedience.next_message()) is not None:
                    await self.send(ws, said)
                while self._frames and self._sent + self._frames[0] <= self._window:
                    first, self._sent = self._sent, self._sent + self._frames.popleft()
                    events = [self.waiting[index].event for index in range(first, self._sent)]
                    publishing.sent += map(sending_of, events)
                    await self.send(ws, Append(events))
                if self._finishing and not self.waiting:
                    await ws.close()
                    return
                self._work.clear()
                await self._work.wait()
        except (ConnectionError, aiohttp.ClientError):
            return  # the reader sees that the connection is gone

    def _hear(self, publishing: Publishing, reply: PublisherReply) -> None:
        if isinstance(reply, Ack):
            answers = [Answer(ack.event_id, ack.seq, ack.duplicate) for ack in reply.acks]
        elif isinstance(reply, Nack):
            answers = [Answer(nack.event_id, code=nack.code, retryable=nack.retryable) for nack in reply.nacks]
        else:
            if isinstance(reply, CommandPush):
                self._obedience.received(reply)
            return
        now = asyncio.get_running_loop().time()
        publishing.answers += answers
        for answer in answers:
            made_at = self.waiting.popleft().made_at if self.waiting else now
            self._sent -= 1
            if answer.seq is not None:
                self.acked.append((now, now - made_at))
        self._work.set()
        self.news.set()
