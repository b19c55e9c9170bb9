"""Subscribers under load, which resume after the last seq that they have received."""

from __future__ import annotations

import asyncio
from random import Random

import aiohttp

from tests.support.history import Following, History, entry_of
from tests.support.load.client import Client, Target, frame_of
from turnwire.protocol.messages import CaughtUp, Error, Events, Subscribe, Subscribed, SubscriberPush


class LoadSubscriber(Client):
    """Follows one session from its beginning, over as many connections as needed, until told to stop."""

    def __init__(
        self, http: aiohttp.ClientSession, target: Target, name: str, random: Random, *, history: History
    ) -> None:
        super().__init__(http, target, name, random)
        self.history = history
        self.cursor = 0
        self.received_at: list[float] = []
        self.reading = asyncio.Event()
        """Whether it reads what arrives. While cleared, everything waits in the network and the gateway."""
        self.reading.set()
        self._stopping = False

    async def run(self) -> None:
        while not self._stopping:
            self.closes.append(await self._serve())
            if not self._stopping:
                await self.pause()

    async def reach(self, seq: int, timeout: float) -> None:
        await self.until(lambda: self.cursor >= seq, timeout, f"seq={seq}, has {self.cursor}")

    async def stop(self) -> None:
        self._stopping = True
        self.reading.set()
        if self._ws is not None:
            await self._ws.close()

    async def _serve(self) -> int | None:
        try:
            ws = await self.connect("/subscribe")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        async with ws:
            try:
                await self.send(ws, Subscribe("r", self.history.session_id, self.cursor))
            except (ConnectionError, aiohttp.ClientError):
                return None
            following = Following(self.name, self.cursor)
            async for message in ws:
                await self.reading.wait()
                frame = frame_of(message)
                if frame is not None:
                    push = self.codec.decode_subscriber_push(frame)
                    if isinstance(push, Error):  # the storage is away
                        break
                    self._hear(following, push)
        return ws.close_code

    def _hear(self, following: Following, push: SubscriberPush) -> None:
        if isinstance(push, Subscribed):
            self.history.followings.append(following)
        elif isinstance(push, CaughtUp):
            following.caught_up.append((len(following.received), push.seq))
        elif isinstance(push, Events):
            following.received += map(entry_of, push.events)
            self.cursor = push.events[-1].seq
            self.received_at.append(asyncio.get_running_loop().time())
        self.news.set()
