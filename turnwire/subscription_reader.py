"""Reading one session's subscription ahead of its consumer, so that a busy consumer keeps its connection."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress

import aiohttp
import msgspec
from yarl import URL

from turnwire.connecting.backoff import seconds_asked
from turnwire.connecting.handshake import Lost
from turnwire.connecting.link import Link, open_link
from turnwire.connecting.patience import Patience
from turnwire.connecting.tokens import TokenSource
from turnwire.errors import refusal
from turnwire.protocol.codec import Codec
from turnwire.protocol.messages import (
    CaughtUp,
    Error,
    Event,
    Events,
    Goaway,
    SessionPush,
    SignalPush,
    Subscribe,
    Subscribed,
    SubscriberPush,
    Unsubscribe,
)
from turnwire.protocol.replay import Gap, overlap
from turnwire.protocol.token_messages import Expiring

log = logging.getLogger("turnwire")

MAX_HELD = 4 * 1024 * 1024
"""Maximum number of bytes of frames held for one subscription. Beyond it, reading pauses until the consumer has taken
them.
"""


class ConnectionBreak:
    """A mark between the news of one connection and those of the next."""


News = list[Event] | Subscribed | SessionPush | SignalPush | CaughtUp | ConnectionBreak


class SubscriptionReader:
    """A subscription kept up across connections. `run` is its only task; its consumer calls `take`."""

    def __init__(self, url: URL, session_id: str, after_seq: int, codec: Codec, token: TokenSource) -> None:
        self._url = url
        self._session_id = session_id
        self._seq = after_seq
        """The last seq read."""
        self._codec = codec
        self._token = token
        self._held: deque[tuple[News, int]] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._link: Link | None = None
        self._ref = 0
        self._paused = False
        """Whether the gateway has been asked to stop sending for now."""

    async def run(self, http: aiohttp.ClientSession, patience: Patience) -> None:
        """Run until the gateway refuses, or has been away for too long."""
        try:
            while True:
                try:
                    async with open_link(http, self._url, self._codec, self._token) as self._link:
                        await self._subscribe_unless_paused()
                        while True:
                            await self._read_one(self._link, patience)
                except Lost as lost:
                    if not self._held or not isinstance(self._held[-1][0], ConnectionBreak):
                        self._hold(ConnectionBreak(), 0)
                    await patience.pause(lost)
                finally:
                    self._link = None
        finally:
            self._changed.set()

    async def take(self, reader: asyncio.Task[None]) -> News:
        """Wait for the next piece of news. Once none is left, raise the error with which the reader ended."""
        while not self._held:
            if reader.done():
                reader.result()
            if self._paused:
                self._paused = False
                with suppress(Lost):  # the reader notices it too
                    await self._subscribe_unless_paused()
            self._changed.clear()
            await self._changed.wait()
        news, size = self._held.popleft()
        self._size -= size
        return news

    async def _subscribe_unless_paused(self) -> None:
        if self._link is not None and not self._paused:
            self._ref += 1
            await self._link.send(Subscribe(str(self._ref), session_id=self._session_id, after_seq=self._seq))

    def _hold(self, news: News, size: int) -> None:
        self._held.append((news, size))
        self._size += size
        self._changed.set()

    async def _read_one(self, link: Link, patience: Patience) -> None:
        frame = await link.receive()
        push = decoded_push(link, frame)
        if isinstance(push, Error) and push.ref in (None, str(self._ref)):
            raise Lost(push.message) if push.retryable else refusal(push.message, push.code)
        if isinstance(push, Subscribed):
            patience.connected()
        if self._paused or not isinstance(push, Subscribed | SessionPush | SignalPush | CaughtUp | Events):
            return
        if push.ref != str(self._ref):
            return
        if isinstance(push, Events | CaughtUp):
            patience.progress()
        self._hold(self._new_events(push) if isinstance(push, Events) else push, len(frame))
        if self._size > MAX_HELD:
            self._paused = True
            await link.send(Unsubscribe(str(self._ref)))

    def _new_events(self, push: Events) -> list[Event]:
        try:
            known = overlap(self._seq, push.events[0].seq, push.events[-1].seq)
        except Gap as gap:  # a gateway should never leave one; the log has the missing events
            raise Lost(str(gap)) from None
        self._seq = max(self._seq, push.events[-1].seq)
        return push.events[known:]


def decoded_push(link: Link, frame: bytes) -> SubscriberPush | None:
    """Decode a push of the gateway; return None for one that this version does not know."""
    try:
        push = link.codec.decode_subscriber_push(frame)
    except msgspec.DecodeError as error:
        log.warning("skipped a message of the gateway: %s", error)
        return None
    if isinstance(push, Goaway):
        link.retry_after = seconds_asked(push.reconnect_after_ms)
    elif isinstance(push, Expiring):
        link.renew_token()
    return push
