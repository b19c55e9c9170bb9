"""The feed of sessions across gateways: sends changes here to feeds elsewhere, and changes elsewhere to feeds here."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Collection, Iterable

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.peers.letters import SessionNews
from turnwire.gateway.peers.post import Post
from turnwire.gateway.peers.readers import Readers
from turnwire.gateway.peers.reported import ReportedSessions
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.turns import MANY, Slices
from turnwire.gateway.watching.feed import Change, Feed, FeedListener
from turnwire.gateway.watching.feed_subscription import MAX_SNAPSHOT
from turnwire.protocol.messages import Session, SessionStatus, Summary
from turnwire.store.on_demand import OnDemandTask


def _age(change: Change) -> tuple[bool, int, int]:
    """Return a sort key that rises with what is known of a session."""
    through = -1 if change.summary is None else change.summary.through_seq
    return change.session.ended_at is not None, change.session.last_seq, through


class FeedNews:
    """A subscription to the feed on behalf of the other gateways, while one of them has a feed.

    Owns what is known of sessions at other gateways.
    """

    def __init__(self, feed: Feed, sessions: LiveSessions, post: Post, readers: Readers) -> None:
        self._feed = feed
        self._live = sessions.live
        self._post = post
        self._readers = readers
        self._known = ReportedSessions()
        self._informed: set[str] = set()
        """The gateways that have been sent the sessions running here, or will be soon."""
        self._summarises = False
        self._arrived: dict[str, tuple[Change, set[SessionStatus]]] = {}
        """What other gateways have reported and nobody has been told here: sessionId → (change, statuses)."""
        self._delivery = OnDemandTask()
        self._telling = OnDemandTask()
        self._pending = OrderedDict[str, tuple[Change, set[SessionStatus]]]()
        """What has changed here and no other gateway has been told: sessionId → (change, statuses)."""
        self._new: set[str] = set()
        """The gateways that are still to be sent the sessions running here."""
        feed.elsewhere = self._known.get
        feed.listed = self._listed

    @property
    def has_subscribers(self) -> bool:
        """Whether anybody is subscribed to the feed here."""
        return len(self._feed.subscriptions) > (self in self._feed.subscriptions)

    def tell_wants(self) -> None:
        """Report what the subscribers here want, if that has changed."""
        self._post.want_feed(self.has_subscribers, self._feed.summaries.listeners > self._summarises)

    # --- what has changed here ---------------------------------------------------------------------------------------

    def readers_changed(self) -> None:
        """Check what other gateways want, because it may have changed."""
        feeds = self._readers.feeds()
        if feeds:
            self._feed.subscriptions.add(self)
        else:
            self._feed.subscriptions.discard(self)
        summarises = bool(self._readers.feeds(summaries=True))
        if summarises != self._summarises:
            self._summarises = summarises
            if summarises:
                self._feed.summaries.listen()
            else:
                self._feed.summaries.leave()
        new = set(feeds) - self._informed
        self._informed = set(feeds)
        if new:
            self._new |= new
            self._telling.wake(self._tell)

    async def _tell(self) -> None:
        """Send what runs here to the gateways that are new, and what has changed to all, a little at a time."""
        slices = Slices(self._feed.turns)
        while self._new or self._pending:
            if self._new:
                new, self._new = self._new, set()
                await self._tell_all(new, slices)
            else:
                change, statuses = self._pending.popitem(last=False)[1]
                for name in self._readers.feeds():
                    self._post.session(name, self._news(name, change, statuses))
                await slices.pause()

    async def _tell_all(self, names: Collection[str], slices: Slices) -> None:
        """Send the newest sessions that are published here, as many as a feed's snapshot has."""
        for state in await self._newest(slices):
            if not state.erased:
                change = Change(state.session(), self._summary(state))
                for name in names:
                    self._post.session(name, self._news(name, change, {state.record.status}))
            await slices.pause()

    async def _newest(self, slices: Slices) -> list[SessionState]:
        lives, newest = tuple(self._live.values()), list[SessionState]()
        for start in range(0, len(lives), MANY):
            published = [live.state for live in lives[start : start + MANY] if live.state.publisher is not None]
            newest = heapq.nlargest(MAX_SNAPSHOT, newest + published, key=lambda state: state.record.started_at)
            await slices.pause()
        return newest

    def _summary(self, state: SessionState) -> Summary | None:
        return self._feed.summaries.of(state) if self._summarises else None

    def _news(self, name: str, change: Change, statuses: set[SessionStatus]) -> SessionNews:
        summary = change.summary if self._readers.wants_summaries(name) else None
        return SessionNews(change.session, list(statuses), summary)

    def offer(self, change: Change, statuses: set[SessionStatus]) -> None:
        session_id = change.session.session_id
        known = self._known.get(session_id)
        if known is None or _age(change) > _age(known):  # otherwise the change came from another gateway
            before = self._pending.get(session_id)
            self._pending[session_id] = change, statuses | before[1] if before else set(statuses)

    def erased(self, session_id: str) -> None:
        """Drop the erased session. The gateway that erased it tells the others, or they find out by themselves."""
        self._known.drop(session_id)
        self._arrived.pop(session_id, None)
        self._pending.pop(session_id, None)

    def push(self) -> None:
        if self._pending:
            self._telling.wake(self._tell)

    # --- what has changed elsewhere ----------------------------------------------------------------------------------

    def deliver(self, news: Iterable[SessionNews]) -> None:
        """Offer the changes that are new to the feeds here, soon."""
        for each in news:
            change, statuses = Change(each.session, each.summary), {*each.statuses, each.session.status}
            before = self._arrived.pop(each.session.session_id, None)
            if before is not None:
                change, statuses = max(change, before[0], key=_age), before[1] | statuses
            self._arrived[each.session.session_id] = change, statuses
        self._delivery.wake(self._deliver)

    async def _deliver(self) -> None:
        slices = Slices(self._feed.turns)
        while self._arrived:
            for session_id in tuple(self._arrived):
                if (arrived := self._arrived.pop(session_id, None)) is not None:
                    self._offer(*arrived)
                    await slices.pause()
            for listener in self._listeners:
                listener.push()
                await slices.pause()

    @property
    def _listeners(self) -> list[FeedListener]:
        return [each for each in self._feed.subscriptions if each is not self]

    def _offer(self, change: Change, statuses: set[SessionStatus]) -> None:
        if not self._is_new(change):
            return
        if (known := self._known.get(change.session.session_id)) is not None:
            statuses.add(known.session.status)
        self._known.keep(change)
        for listener in self._listeners:
            listener.offer(change, statuses)

    async def stop(self) -> None:
        """Deliver and send nothing more."""
        await self._delivery.stop()
        await self._telling.stop()

    def _listed(self, session: Session) -> None:
        """Remember a stored session that a feed here has been sent."""
        change = Change(session)
        if self._is_new(change):
            self._known.keep(change)

    def _is_new(self, change: Change) -> bool:
        session_id = change.session.session_id
        live = self._live.get(session_id)
        if live is not None and _age(Change(live.state.session()))[:2] >= _age(change)[:2]:
            return False  # the feed has it already, or will get it from the session here
        known = self._known.get(session_id)
        if known is None:
            return True
        same = (known.session, known.summary) == (change.session, change.summary)
        return _age(change) >= _age(known) and not same

    @property
    def going_on(self) -> list[str]:
        """The sessions with a publisher at other gateways that have not ended, as far as is known."""
        going_on = [session.session_id for session in self._known if session.ended_at is None]
        return [session_id for session_id in going_on if not self._is_published_here(session_id)]

    def _is_published_here(self, session_id: str) -> bool:
        live = self._live.get(session_id)
        return live is not None and live.state.publisher is not None
