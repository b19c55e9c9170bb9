"""Following one session: every event once, in order, across reconnects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Literal

import aiohttp

from turnwire.address import Address
from turnwire.connecting.link import borrowed, codec_named
from turnwire.connecting.patience import Patience
from turnwire.connecting.tokens import Token, TokenSource
from turnwire.protocol.messages import CaughtUp, Event, Session, SessionPush, SignalPush, Subscribed
from turnwire.protocol.rules import has_ended
from turnwire.subscription_reader import ConnectionBreak, News, SubscriptionReader


class Subscription:
    """An iterable over one session's events. See `subscribe`."""

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
        token: Token | None = None,
        codec: Literal["json", "msgpack"] = "json",
        give_up_after: float | None = None,
        http: aiohttp.ClientSession | None = None,
    ) -> None:
        self.session_id = session_id
        self.last_seq = after_seq
        """The seq of the last event delivered, from which a new subscription would continue."""
        self.session: Session | None = None
        """The session as the gateway last described it."""
        self.caught_up = False
        """Whether all events stored before the connection opened have been delivered."""
        self._url = Address(url).websocket("subscribe")
        self._until_ended = until_ended
        self._on_signal = on_signal
        self._on_session = on_session
        self._on_caught_up = on_caught_up
        self._token = TokenSource(token)
        self._codec = codec_named(codec)
        self._give_up_after = give_up_after
        self._http = http
        self._log_end = 0

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        if self._is_over():
            return
        patience = Patience(self._give_up_after, f"subscription to {self.session_id!r}")
        ahead = SubscriptionReader(self._url, self.session_id, self.last_seq, self._codec, self._token)
        async with borrowed(self._http) as http:
            reader = asyncio.create_task(ahead.run(http, patience), name=f"subscription to {self.session_id}")
            try:
                while not self._is_over():
                    for event in self._taken(await ahead.take(reader)):
                        self.last_seq = event.seq
                        yield event
            finally:
                reader.cancel()
                await asyncio.wait({reader})

    def _is_over(self) -> bool:
        if not self._until_ended or self.session is None or not has_ended(self.session.status):
            return False
        return self.caught_up and self.last_seq >= self._log_end

    def _taken(self, news: News) -> list[Event]:
        """Call the callbacks, and return the events of a piece of news; most kinds have none."""
        if isinstance(news, list):
            return news
        if isinstance(news, ConnectionBreak):
            self.caught_up = False
        elif isinstance(news, Subscribed):
            if news.session is not None:
                self._know(news.session)
            if isinstance(news.last_seq, int):
                self._log_end = max(self._log_end, news.last_seq)
        elif isinstance(news, SessionPush):
            self._know(news.session)
        elif isinstance(news, CaughtUp):
            self.caught_up = True
            if self._on_caught_up is not None:
                self._on_caught_up(news.seq)
        elif self._on_signal is not None:
            self._on_signal(news)
        return []

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
    token: Token | None = None,
    codec: Literal["json", "msgpack"] = "json",
    give_up_after: float | None = None,
    http: aiohttp.ClientSession | None = None,
) -> Subscription:
    """Follow a session's events after `after_seq`, stored ones first, then live: `async for event in subscribe(...)`.

    Reconnects by itself and continues after the last event delivered: none is missing, none comes twice. Reads ahead, a
    few megabytes at most, so that the connection survives a loop that is busy with one event for a long time. With
    `until_ended`, it stops once the session has ended and all its events have been delivered (in the grace time after
    the end, the log may still get a late event). Without it, it never stops by itself.

    Signals, changes of the session and the end of the replay (with the seq reached) go to the callbacks, in order with
    the events. `token` is a string, or a function that returns one for each connection. Raises SessionNotFound or
    another Refused, and Unreachable once no gateway has answered for `give_up_after` seconds (by default never). Wrap a
    loop that may be left early in `contextlib.aclosing(aiter(subscription))`, to close the connection at once.
    """
    return Subscription(
        url,
        session_id,
        after_seq,
        until_ended=until_ended,
        on_signal=on_signal,
        on_session=on_session,
        on_caught_up=on_caught_up,
        token=token,
        codec=codec,
        give_up_after=give_up_after,
        http=http,
    )
