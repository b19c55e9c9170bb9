"""The news waiting to be sent to other gateways: only the newest of each session, so that it stays bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from turnwire.gateway.peers.letters import EVERYBODY, Letter, SessionNews, SignalNews, Wants

MAX_SIGNALS = 1000
"""Maximum number of signals that wait for one topic. The oldest are dropped first."""
MAX_FEED = 200
"""Maximum number of changes of sessions in one letter."""


class _Draft(Struct):
    """The news that waits for one topic."""

    beats: bool = False
    asks: bool = False
    leaving: bool = False
    whole: bool = False
    """Whether to send everything that this gateway wants."""
    watched: dict[str, bool] = field(default_factory=dict)
    """sessionId → whether it is now watched."""
    heads: dict[str, int] = field(default_factory=dict)
    claims: dict[str, int] = field(default_factory=dict)
    ends: dict[str, None] = field(default_factory=dict)
    erased: dict[str, None] = field(default_factory=dict)
    changes: dict[str, None] = field(default_factory=dict)
    silences: dict[str, int] = field(default_factory=dict)
    signals: dict[tuple[str, str], SignalNews] = field(default_factory=dict)
    feed: dict[str, SessionNews] = field(default_factory=dict)
    feed_wants_changed: bool = False
    """Whether this gateway's wish for the feed has changed."""


class Post:
    """Drafts of letters, by topic. Any task may add news; `waiting` wakes the task that sends them."""

    def __init__(self, name: str) -> None:
        """`name` is the name of this gateway."""
        self.name = name
        self.open = False
        """Whether letters are sent. If not, news is dropped."""
        self.waiting = asyncio.Event()
        self.watched: dict[str, None] = {}
        """The sessions that this gateway watches."""
        self.dropped = 0
        """Number of letters that were not sent, and of signals that were dropped for newer ones."""
        self._feed = self._summaries = False
        self._drafts: dict[str, _Draft] = {}
        self._numbers: dict[str, int] = {}

    def _draft(self, topic: str) -> _Draft:
        if not self.open:
            return _Draft()
        draft = self._drafts.get(topic)
        if draft is None:
            draft = self._drafts[topic] = _Draft()
            self.waiting.set()
        return draft

    # --- adding news -------------------------------------------------------------------------------------------------

    def head(self, topics: Iterable[str], session_id: str, seq: int) -> None:
        for topic in topics:
            self._draft(topic).heads[session_id] = seq

    def claim(self, session_id: str, epoch: int) -> None:
        self._draft(EVERYBODY).claims[session_id] = epoch

    def end(self, session_id: str) -> None:
        self._draft(EVERYBODY).ends[session_id] = None

    def erasure(self, session_id: str) -> None:
        self._draft(EVERYBODY).erased[session_id] = None

    def change(self, session_id: str) -> None:
        self._draft(EVERYBODY).changes[session_id] = None

    def signal(self, topics: Iterable[str], signal: SignalNews) -> None:
        key = (signal.session_id, signal.key)
        for topic in topics:
            signals = self._draft(topic).signals
            if signals.pop(key, None) is None and len(signals) >= MAX_SIGNALS:
                del signals[next(iter(signals))]
                self.dropped += 1
            signals[key] = signal

    def silence(self, topics: Iterable[str], session_id: str, epoch: int) -> None:
        """Drop the waiting signals of the publisher of this epoch, which is gone."""
        for topic in topics:
            draft = self._draft(topic)
            draft.silences[session_id] = epoch
            for key in [key for key in draft.signals if key[0] == session_id]:
                del draft.signals[key]

    def session(self, topic: str, news: SessionNews) -> None:
        feed, session_id = self._draft(topic).feed, news.session.session_id
        if session_id in feed:
            news.statuses = list({*feed[session_id].statuses, *news.statuses})
        feed[session_id] = news

    def watch(self, session_id: str) -> None:
        if session_id not in self.watched:
            self.watched[session_id] = None
            self._draft(EVERYBODY).watched[session_id] = True

    def unwatch(self, session_id: str) -> None:
        if session_id in self.watched:
            del self.watched[session_id]
            self._draft(EVERYBODY).watched[session_id] = False

    def want_feed(self, feed: bool, summaries: bool) -> None:
        if (feed, summaries) != (self._feed, self._summaries):
            self._feed, self._summaries = feed, summaries
            self._draft(EVERYBODY).feed_wants_changed = True

    def tell_wants(self, topic: str) -> None:
        """Send everything that this gateway wants."""
        self._draft(topic).whole = True

    def ask(self, topic: str) -> None:
        """Ask for everything that the gateways on this topic want."""
        self._draft(topic).asks = True

    def introduce(self) -> None:
        """Tell all gateways what this one wants, and ask what they want."""
        self.tell_wants(EVERYBODY)
        self.ask(EVERYBODY)

    def beat(self) -> None:
        self._draft(EVERYBODY).beats = True

    def leave(self) -> None:
        self._draft(EVERYBODY).leaving = True

    # --- sending -----------------------------------------------------------------------------------------------------

    def take(self) -> list[Letter]:
        """Remove and return all letters. The letter to everybody is last, because its beat counts the others."""
        drafts, self._drafts = self._drafts, {}
        self.waiting.clear()
        if EVERYBODY in drafts:
            drafts[EVERYBODY] = drafts.pop(EVERYBODY)
        return [letter for topic, draft in drafts.items() for letter in self._letters(topic, draft)]

    def _letters(self, topic: str, draft: _Draft) -> Iterator[Letter]:
        feed = list(draft.feed.values())
        for start in range(MAX_FEED, len(feed), MAX_FEED):
            yield Letter(self.name, topic, self._number(topic), feed=feed[start : start + MAX_FEED])
        yield Letter(
            self.name,
            topic,
            self._number(topic),
            beat=dict(self._numbers) if draft.beats else None,
            asks=draft.asks,
            leaving=draft.leaving,
            wants=self._wants(draft),
            heads=draft.heads,
            claims=draft.claims,
            ends=list(draft.ends),
            erased=list(draft.erased),
            changes=list(draft.changes),
            silences=draft.silences,
            signals=list(draft.signals.values()),
            feed=feed[:MAX_FEED],
        )

    def _wants(self, draft: _Draft) -> Wants | None:
        wants = Wants(whole=draft.whole, feed=self._feed, summaries=self._summaries)
        if draft.whole:
            wants.watched = list(self.watched)
        elif draft.watched:
            wants.watched = [session_id for session_id, watched in draft.watched.items() if watched]
            wants.left = [session_id for session_id, watched in draft.watched.items() if not watched]
        elif not draft.feed_wants_changed:
            return None
        return wants

    def _number(self, topic: str) -> int:
        number = self._numbers[topic] = self._numbers.get(topic, 0) + 1
        return number

    def drop(self) -> None:
        """Drop everything that waits. Each draft counts as a letter, so that its readers notice that one is missing."""
        drafts, self._drafts = self._drafts, {}
        self.waiting.clear()
        for topic in drafts:
            self._number(topic)
        self.dropped += len(drafts)
