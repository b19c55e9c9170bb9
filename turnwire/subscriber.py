"""Follows one session: every event once, in order, over as many connections as that takes."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from typing import Literal

import aiohttp
import msgspec

from turnwire.address import Address
from turnwire.errors import refusal
from turnwire.link import Link, Lost, borrowed, codec_named, open_link
from turnwire.patience import Patience
from turnwire.protocol.messages import (
    CaughtUp,
    Error,
    Event,
    Events,
    Goaway,
    Session,
    SessionPush,
    SignalPush,
    Subscribe,
    Subscribed,
    SubscriberPush,
)
from turnwire.protocol.replay import Gap, overlap
from turnwire.protocol.rules import has_ended

log = logging.getLogger("turnwire")

_REF = "1"


class Subscription:
    """An iterator of one session's events. See `subscribe`."""

    def __init__(
        self,
        url: str,
        session_id: str,
        after_seq: int = 0,
        *,
        until_ended: bool = False,
        on_signal: Callable[[SignalPush], None] | None = None,
        on_session: Callable[[Session], None] | None = None,
        on_caught_up: Callable[[int], None] | None = None,
        codec: Literal["json", "msgpack"] = "json",
        give_up_after: float | None = None,
        http: aiohttp.ClientSession | None = None,
    ) -> None:
        self.session_id = session_id
        self.last_seq = after_seq
        """The seq of the last event delivered: where a new subscription would go on."""
        self.session: Session | None = None
        """The session as the gateway last described it."""
        self.caught_up = False
        """Whether all that was stored when the connection opened has been delivered."""
        self._url = Address(url).websocket("subscribe")
        self._until_ended = until_ended
        self._on_signal = on_signal
        self._on_session = on_session
        self._on_caught_up = on_caught_up
        self._codec = codec_named(codec)
        self._give_up_after = give_up_after
        self._http = http
        self._log_end = 0

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        patience = Patience(self._give_up_after)
        async with borrowed(self._http) as http:
            while not self._is_over():
                try:
                    async with open_link(http, self._url, self._codec) as link:
                        await link.send(Subscribe(_REF, session_id=self.session_id, after_seq=self.last_seq))
                        while not self._is_over():
                            for event in await self._next_events(link, patience):
                                self.last_seq = event.seq
                                yield event
                except Lost as lost:
                    self.caught_up = False
                    await patience.pause(lost)

    def _is_over(self) -> bool:
        if not self._until_ended or self.session is None or not has_ended(self.session.status):
            return False
        return self.caught_up and self.last_seq >= self._log_end

    async def _next_events(self, link: Link, patience: Patience) -> list[Event]:
        """The new events of the next message, of which there are none in most kinds."""
        push = decoded_push(link, await link.receive())
        if isinstance(push, Goaway | None):
            return []
        if isinstance(push, Error):
            raise Lost(push.message) if push.retryable else refusal(push.message, push.code)
        if isinstance(push, Events | CaughtUp):
            patience.progress()
        if isinstance(push, Events):
            try:
                known = overlap(self.last_seq, push.events[0].seq, push.events[-1].seq)
            except Gap as gap:  # no gateway should leave one; what is missing is in the log
                raise Lost(str(gap)) from None
            return push.events[known:]
        self._take(push)
        return []

    def _take(self, push: SubscriberPush) -> None:
        if isinstance(push, Subscribed):
            if push.session is not None:
                self._know(push.session)
            if isinstance(push.last_seq, int):
                self._log_end = max(self._log_end, push.last_seq)
        elif isinstance(push, SessionPush):
            self._know(push.session)
        elif isinstance(push, CaughtUp):
            self.caught_up = True
            if self._on_caught_up is not None:
                self._on_caught_up(push.seq)
        elif isinstance(push, SignalPush) and self._on_signal is not None:
            self._on_signal(push)

    def _know(self, session: Session) -> None:
        self.session = session
        self._log_end = max(self._log_end, session.last_seq)
        if self._on_session is not None:
            self._on_session(session)


def subscribe(
    url: str,
    session_id: str,
    after_seq: int = 0,
    *,
    until_ended: bool = False,
    on_signal: Callable[[SignalPush], None] | None = None,
    on_session: Callable[[Session], None] | None = None,
    on_caught_up: Callable[[int], None] | None = None,
    codec: Literal["json", "msgpack"] = "json",
    give_up_after: float | None = None,
    http: aiohttp.ClientSession | None = None,
) -> Subscription:
    """The events of a session after `after_seq`, stored ones first, then live: `async for event in subscribe(...)`.

    Reconnects by itself and goes on behind the last event delivered: none is missing, none comes twice. With
    `until_ended` it stops when the session has ended and all its events have been delivered (a late event of the
    grace time after the end may still follow in the log); without it, it never stops by itself.

    Signals, changes of the session and the end of the replay (with the seq reached) go to the callbacks, in their
    places between the events. Raises SessionNotFound and other Refused, and Unreachable when there has been no gateway
    for `give_up_after` seconds (never, unless given). A loop that may be left early should be inside
    `contextlib.aclosing(aiter(subscription))`, to close the connection there and then.
    """
    return Subscription(
        url,
        session_id,
        after_seq,
        until_ended=until_ended,
        on_signal=on_signal,
        on_session=on_session,
        on_caught_up=on_caught_up,
        codec=codec,
        give_up_after=give_up_after,
        http=http,
    )


def decoded_push(link: Link, frame: bytes) -> SubscriberPush | None:
    """A push of the gateway; None for one that this version does not know."""
    try:
        push = link.codec.decode_subscriber_push(frame)
    except msgspec.DecodeError as error:
        log.warning("skipped a message of the gateway: %s", error)
        return None
    if isinstance(push, Goaway):
        link.retry_after = push.reconnect_after_ms / 1000
    return push
