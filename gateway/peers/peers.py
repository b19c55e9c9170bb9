"""The other gateways on the same database, as this one sees them: all parts of the room, put together."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from uuid import uuid4

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.peers.announcer import Announcer
from turnwire.gateway.peers.bus import Bus
from turnwire.gateway.peers.catch_up import CatchUp
from turnwire.gateway.peers.exchange import Exchange
from turnwire.gateway.peers.feed_news import FeedNews
from turnwire.gateway.peers.news import News
from turnwire.gateway.peers.poller import Poller
from turnwire.gateway.peers.post import Post
from turnwire.gateway.peers.readers import Readers
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.watching.feed import Feed
from turnwire.store.mongo import Store


class Peers:
    """Made before the sessions, which tell its `announcer`; `join` adds all that needs the sessions themselves."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """The clock is the loop's."""
        name = uuid4().hex
        self._post = Post(name)
        self._readers = Readers(name, clock)
        self.announcer = Announcer(self._post, self._readers)
        self.exchange: Exchange | None = None
        """None without a bus."""

    def join(
        self,
        store: Store,
        sessions: LiveSessions,
        feed: Feed,
        bus: Bus | None,
        *,
        poll_interval: float,
        erased: Callable[[str], None],
    ) -> None:
        """`poll_interval` is in seconds. `erased` is told of sessions that other gateways have erased."""
        self._feed_news = FeedNews(feed, sessions, self._post, self._readers)
        self._catch_up = CatchUp(store, sessions.learn)
        self._poller = Poller(
            store,
            sessions,
            self._post.watched,
            self._catch_up,
            self._feed_news,
            interval=poll_interval,
            is_told=self.is_up,
            erased=erased,
        )
        news = News(
            sessions=sessions,
            post=self._post,
            readers=self._readers,
            announcer=self.announcer,
            catch_up=self._catch_up,
            poller=self._poller,
            feed=self._feed_news,
            erased=erased,
        )
        if bus is not None:
            self.exchange = Exchange(bus, self._post, news.hear, self._turned)

    def tasks(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What is to run as long as the gateway does."""
        yield self._poller.run()
        if self.exchange is not None:
            yield self.exchange.run()

    async def tick(self) -> None:
        """To be called several times a second."""
        self._readers.forget_silent()
        self._feed_news.readers_changed()
        self._feed_news.tell_wants()

    async def stop(self) -> None:
        """End what the tasks have left."""
        await self._catch_up.stop()

    def watch_changed(self, state: SessionState) -> None:
        """Somebody has begun or ceased to watch this session here."""
        self.announcer.attention_changed(state)

    def is_up(self) -> bool:
        """Whether the bus carries what gateways tell each other."""
        return self.exchange is not None and self.exchange.up

    @property
    def names(self) -> list[str]:
        """The other gateways that have been heard of late."""
        return self._readers.names

    def is_watched(self, session_id: str) -> bool:
        """Whether another gateway is known to watch this session."""
        return session_id in self._readers.watching

    @property
    def dropped(self) -> int:
        """Letters that were not sent, and signals that gave way."""
        return self._post.dropped

    def _turned(self, up: bool) -> None:
        """The bus has begun to work, or ceased to."""
        self._poller.look_soon()
        if up:
            self._post.introduce()
