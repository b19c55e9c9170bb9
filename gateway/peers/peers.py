"""The other gateways on the same database: the wiring of all parts that communicate with them."""

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
    """All parts that communicate with other gateways.

    Made before the sessions, which report to its `announcer`; `join` then makes the parts that need the sessions.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` is the loop's clock."""
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
        """Make the parts that need the sessions. `poll_interval` is in seconds. `erased` is called with the id of each
        session that another gateway has erased."""
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
        self._news = News(
            sessions=sessions,
            post=self._post,
            readers=self._readers,
            announcer=self.announcer,
            catch_up=self._catch_up,
            poller=self._poller,
            feed=self._feed_news,
            turns=feed.turns,
            erased=erased,
        )
        if bus is not None:
            self.exchange = Exchange(bus, self._post, self._news.read, self._turned)

    def tasks(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield the work to run for as long as the gateway runs."""
        yield self._poller.run()
        if self.exchange is not None:
            yield self.exchange.run()

    async def tick(self) -> None:
        """Forget silent gateways and report what this one wants. Call this several times a second."""
        if self._readers.forget_silent():
            self._news.hush()
        self._feed_news.readers_changed()
        self._feed_news.tell_wants()

    async def stop(self) -> None:
        """Stop reading from the database, and telling the feeds."""
        await self._catch_up.stop()
        await self._feed_news.stop()
        await self._news.stop()

    def watch_changed(self, state: SessionState) -> None:
        """Report that somebody has started or stopped watching this session here."""
        self.announcer.attention_changed(state)

    def is_up(self) -> bool:
        """Return whether the bus carries letters."""
        return self.exchange is not None and self.exchange.up

    @property
    def names(self) -> list[str]:
        """The other gateways from which letters have come recently."""
        return self._readers.names

    def is_watched(self, session_id: str) -> bool:
        """Return whether another gateway is known to watch this session."""
        return session_id in self._readers.watching

    @property
    def dropped(self) -> int:
        """Number of letters that were not sent, and of signals that were dropped for newer ones."""
        return self._post.dropped

    def _turned(self, up: bool) -> None:
        """Note that the bus has started or stopped working."""
        self._poller.look_soon()
        if up:
            self._post.introduce()
        else:
            self._news.hush()
