"""The exchange of letters with other gateways: keeps the bus connected, and checks that it carries letters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from turnwire.gateway.peers.bus import Bus, BusAway
from turnwire.gateway.peers.letters import EVERYBODY, Letter, decode, encode
from turnwire.gateway.peers.post import Post

_log = logging.getLogger("turnwire.peers")
_BEAT_SECONDS = 0.5
_ECHO_SECONDS = 1.25
"""A gateway receives its own beats. If none comes back for this long, the bus counts as away, even if connected."""
_CONNECT_SECONDS = 2.0
_PAUSE_SECONDS = 0.5
"""Pause between attempts to connect."""
_GOODBYE_SECONDS = 0.5


class Exchange:
    """Sends what is in the post, receives letters, and reconnects while the bus is away.

    Owns its tasks, and decides whether the post is open.
    """

    def __init__(self, bus: Bus, post: Post, read: Callable[[Letter], None], turned: Callable[[bool], None]) -> None:
        """`read` is called with each letter from another gateway; `turned` whenever the bus starts or stops working."""
        self._bus = bus
        self._post = post
        self._read = read
        self._turned = turned
        self._echoed_at = 0.0
        self._loop = asyncio.get_running_loop()
        self.up = False
        """Whether the bus carries letters."""
        self._told_away = False
        self.sent = 0
        self.received = 0

    async def run(self) -> None:
        """Exchange letters until cancelled."""
        try:
            while True:
                try:
                    await self._connected()
                except (BusAway, TimeoutError) as trouble:
                    self._went_down(str(trouble) or "no answer in time")
                except Exception as error:
                    _log.exception("unexpected error on the bus")
                    self._went_down(str(error))
                await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            await self._say_goodbye()

    async def _connected(self) -> None:
        """Use one connection until it fails. Raises the error."""
        async with asyncio.timeout(_CONNECT_SECONDS):
            await self._bus.connect([EVERYBODY, self._post.name])
        self._echoed_at = self._loop.time()
        self._post.open = True
        tasks = [self._loop.create_task(work) for work in (self._listen(), self._send(), self._beat())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        raise next(end for end in ends if isinstance(end, Exception))

    async def _listen(self) -> None:
        while True:
            letter = decode(await self._bus.receive())
            if letter is None:
                continue
            if letter.sender != self._post.name:
                self.received += 1
                self._read(letter)
            elif letter.beat is not None:
                self._echoed()

    def _echoed(self) -> None:
        self._echoed_at = self._loop.time()
        if not self.up:
            self.up = True
            if self._told_away:
                self._told_away = False
                _log.info("the bus between gateways is back")
            self._turned(True)

    async def _send(self) -> None:
        while True:
            await self._post.waiting.wait()
            letters = self._post.take()
            async with asyncio.timeout(_ECHO_SECONDS):
                await self._bus.publish([(letter.topic, encode(letter)) for letter in letters])
            self.sent += len(letters)

    async def _beat(self) -> None:
        while self._loop.time() - self._echoed_at < _ECHO_SECONDS:
            self._post.beat()
            await asyncio.sleep(_BEAT_SECONDS)
        raise BusAway("no beat came back in time")

    def _went_down(self, reason: str) -> None:
        was_up, self.up, self._post.open = self.up, False, False
        self._post.drop()
        if was_up:
            self._turned(False)
        if not self._told_away:
            self._told_away = True
            _log.warning("the bus between gateways is away; polling the database instead: %s", reason)

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                if self.up:
                    self._post.leave()
                    await self._bus.publish([(letter.topic, encode(letter)) for letter in self._post.take()])
        except (BusAway, TimeoutError):
            pass  # the others notice the silence
        self.up = self._post.open = False
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._bus.close()
