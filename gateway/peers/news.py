"""Reads letters from other gateways. They only say what to read from the database, except for signals and the feed."""

from __future__ import annotations

from collections.abc import Callable

from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.peers.announcer import Announcer
from turnwire.gateway.peers.catch_up import CatchUp
from turnwire.gateway.peers.feed_news import FeedNews
from turnwire.gateway.peers.letters import Letter, SignalNews, Wants
from turnwire.gateway.peers.poller import Poller
from turnwire.gateway.peers.post import Post
from turnwire.gateway.peers.readers import Readers
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.turns import Slices, Turns
from turnwire.store.on_demand import OnDemandTask


class News:
    """The reader of letters from other gateways."""

    def __init__(
        self,
        *,
        sessions: LiveSessions,
        post: Post,
        readers: Readers,
        announcer: Announcer,
        catch_up: CatchUp,
        poller: Poller,
        feed: FeedNews,
        turns: Turns,
        erased: Callable[[str], None],
    ) -> None:
        """`erased` is called for each session that another gateway has erased."""
        self._live = sessions.live
        self._post = post
        self._readers = readers
        self._announcer = announcer
        self._catch_up = catch_up
        self._poller = poller
        self._feed = feed
        self._turns = turns
        self._erased = erased
        self._unsure: dict[str, None] = {}
        """Sessions in which bots may have been heard that are gone."""
        self._hushing = OnDemandTask()

    def read(self, letter: Letter) -> None:
        """Act on everything in the letter that concerns sessions here."""
        if self._readers.count(letter):
            self._post.ask(letter.sender)
            self._poller.look_soon()
            self.hush()
        if letter.wants is not None:
            self._wanted(letter.sender, letter.wants)
        if letter.asks:
            self._post.tell_wants(letter.sender)
        self._advanced(letter)
        self._changed(letter)
        for session_id in letter.erased:
            self._erased(session_id)
        for session_id, epoch in letter.silences.items():
            live = self._live.get(session_id)
            if live is not None:
                live.state.hush(epoch + 1)
        for signal in letter.signals:
            self._signalled(signal)
        if letter.feed:
            self._feed.deliver(letter.feed)
        if letter.leaving:
            self._left(letter.sender)

    def _advanced(self, letter: Letter) -> None:
        for session_id, seq in letter.heads.items():
            live = self._live.get(session_id)
            if live is not None and seq > live.state.record.last_seq:
                self._announcer.note_head(session_id, seq)
                self._catch_up.to_head(live, seq)

    def _changed(self, letter: Letter) -> None:
        for session_id, epoch in letter.claims.items():
            live = self._live.get(session_id)
            if live is not None and epoch > live.state.record.epoch:
                self._catch_up.reload(session_id)
        for session_id in letter.ends:
            live = self._live.get(session_id)
            if live is not None and not live.state.ended:
                self._announcer.note_end(session_id)
                self._catch_up.reload(session_id)
        for session_id in letter.changes:
            if session_id in self._live:
                self._catch_up.reload(session_id)

    def _wanted(self, name: str, wants: Wants) -> None:
        """Send the heads of the sessions that a gateway now watches and whose logs it may have read before, and what is
        being said in them."""
        for session_id in self._readers.learn(name, wants):
            live = self._live.get(session_id)
            if live is not None:
                self._tell([name], live.state)
        self._feed.readers_changed()

    def _tell(self, topics: list[str], state: SessionState) -> None:
        if state.record.last_seq:
            self._post.head(topics, state.session_id, state.record.last_seq)
        if state.publisher is not None and state.interims is not None:
            for key, payload in state.interims.kept.items():
                self._post.signal(topics, SignalNews(state.session_id, state.record.epoch, key, payload))

    def _signalled(self, signal: SignalNews) -> None:
        if signal.session_id in self._unsure:
            self._hush(signal.session_id)  # before this signal, which is newer
        live: LiveSession | None = self._live.get(signal.session_id)
        if live is not None and live.state.audience is not None and signal.epoch >= live.state.record.epoch:
            live.state.signalled(signal.key, signal.payload, signal.epoch)
            live.state.audience.signalled(signal.key, signal.payload)

    def hush(self) -> None:
        """Forget, soon, what bots at other gateways say, because a lost letter may have said that they are gone."""
        self._unsure = dict.fromkeys(self._live)
        self._hushing.wake(self._hush_all)

    async def _hush_all(self) -> None:
        slices = Slices(self._turns)
        while self._unsure:
            self._hush(next(reversed(self._unsure)))
            await slices.pause()

    def _hush(self, session_id: str) -> None:
        del self._unsure[session_id]
        live = self._live.get(session_id)
        if live is not None and live.state.publisher is None:
            live.state.hush()

    async def stop(self) -> None:
        """Forget nothing more."""
        await self._hushing.stop()

    def _left(self, name: str) -> None:
        self._readers.forget(name)
        self.hush()
        self._feed.readers_changed()
