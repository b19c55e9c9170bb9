"""Changes of sessions, conflated, for `feed: sessions`."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import UNSET

from turnwire.gateway.connections.outbox import server_frame
from turnwire.gateway.watching.summaries import Summaries
from turnwire.protocol.codec import Codec
from turnwire.protocol.messages import Session, SessionsPush, SessionStatus, Subscribed, Summary
from turnwire.protocol.rules import has_ended
from turnwire.store.sessions import SessionQuery

if TYPE_CHECKING:
    from turnwire.gateway.live.live_session import LiveSession
    from turnwire.gateway.sockets.subscriber import SubscriberConnection

MAX_SNAPSHOT = 500
"""Sessions a feed begins with."""
_SUMMARY_BYTES = _ENVELOPE_BYTES = 1024
"""Generous guesses."""


class Change:
    """A session as it is now, encoded once for all who hear of it."""

    __slots__ = ("_encoded", "_frames", "session", "summary")

    def __init__(self, session: Session, summary: Summary | None = None) -> None:
        self.session = session
        self.summary = summary
        self._encoded: dict[Codec, tuple[bytes, bytes | None]] = {}
        self._frames: dict[tuple[Codec, str, bool], bytes] = {}

    def frame(self, codec: Codec, ref: str, *, summarised: bool) -> bytes:
        """The `session` message; `summarised`: with the summary, if there is one."""
        frame = self._frames.get((codec, ref, summarised))
        if frame is None:
            encoded = self._encoded.get(codec)
            if encoded is None:
                summary = None if self.summary is None else codec.encode_value(self.summary)
                encoded = self._encoded[codec] = codec.encode_value(self.session), summary
            payload = codec.session_frame(ref, encoded[0], encoded[1] if summarised else None)
            frame = self._frames[codec, ref, summarised] = server_frame(payload, text=codec.text)
        return frame


class Feed:
    """Collects changes and tells the subscribers of them on a tick, each session once. Owner: the hub's tick task."""

    def __init__(self) -> None:
        self.subscriptions: set[FeedSubscription] = set()
        self.summaries = Summaries()
        self._changed: dict[LiveSession, set[str]] = {}

    def changed(self, live: LiveSession, status_before: str) -> None:
        """Something about the session is new; `status_before` is its status before that."""
        if self.subscriptions:
            self._changed.setdefault(live, set()).add(status_before)

    def tick(self) -> None:
        """Tell of all that has changed since the last tick."""
        changes, self._changed = self._changed, {}
        for live, statuses in changes.items():
            change = Change(live.session(), self.summaries.of(live) if self.summaries.listeners else None)
            statuses.add(live.record.status)
            for subscription in self.subscriptions:
                subscription.offer(change, statuses)
        for subscription in self.subscriptions:
            subscription.push()


class FeedSubscription:
    """A feed watched over a WebSocket. Holds the rest of the snapshot and one pending change for each session, at
    most; both wait until the outbox has room."""

    def __init__(
        self, connection: SubscriberConnection, ref: str, status: tuple[SessionStatus, ...], *, summaries: bool = False
    ) -> None:
        self.connection = connection
        self.ref = ref
        self.status = status
        self._feed = connection.hub.feed
        self._summarised = summaries
        self.behind = False
        self._ready = False
        self._snapshot: deque[list[Session]] = deque()
        self._pending: dict[str, Change] = {}

    async def start(self) -> None:
        """Watch from now on, then send the sessions there are: what changes in between comes after them."""
        self._feed.subscriptions.add(self)
        if self._summarised:
            self._feed.summaries.listen()
        sessions = await self.connection.hub.list_sessions(SessionQuery(limit=MAX_SNAPSHOT, status=self.status))
        self._snapshot.extend(self._parts(sessions))
        self.connection.send(Subscribed(self.ref))
        self._ready = True
        self._push_snapshot()

    def _parts(self, sessions: Sequence[Session]) -> list[list[Session]]:
        """One message, unless large metadata makes it too large."""
        parts: list[list[Session]] = [[]]
        size = 0
        for session in sessions:
            encoded = len(self.connection.codec.encode_value(session)) + self._summarised * _SUMMARY_BYTES
            if size + encoded > self.connection.outbox.frame_bytes - _ENVELOPE_BYTES and parts[-1]:
                parts.append([])
                size = 0
            parts[-1].append(session)
            size += encoded
        return parts

    def offer(self, change: Change, statuses: set[str]) -> None:
        """`statuses` are those the session has had since the last tick: one that leaves the filter is told of."""
        session_id = change.session.session_id
        if not self.status or session_id in self._pending or not statuses.isdisjoint(self.status):
            self._pending[session_id] = change

    def push(self) -> None:
        """Put what is pending while there is room."""
        if not self._ready:
            return
        outbox = self.connection.outbox
        self._push_snapshot()
        while not self._snapshot and self._pending and outbox.has_room:
            session_id = next(iter(self._pending))
            change = self._pending.pop(session_id)
            outbox.put(change.frame(self.connection.codec, self.ref, summarised=self._summarised))
        if self._pending:
            self._lag()

    def _push_snapshot(self) -> None:
        while self._snapshot and self.connection.outbox.has_room:
            part = self._snapshot.popleft()
            self.connection.send(SessionsPush(self.ref, part, self._summaries(part) if self._summarised else UNSET))
        if self._snapshot:
            self._lag()

    def _summaries(self, sessions: Sequence[Session]) -> dict[str, Summary]:
        """Those that are known of the sessions that go on."""
        going_on = [session.session_id for session in sessions if not has_ended(session.status)]
        lives = [self.connection.hub.live[each] for each in going_on if each in self.connection.hub.live]
        known = [(live.session_id, self._feed.summaries.of(live)) for live in lives]
        return {session_id: summary for session_id, summary in known if summary is not None}

    def _lag(self) -> None:
        self.behind = True
        self.connection.lags(self)

    async def catch_up(self) -> None:
        """Called when there is room again, until it is no longer behind."""
        self.behind = False
        self.push()

    def close(self) -> None:
        if self in self._feed.subscriptions:
            self._feed.subscriptions.remove(self)
            if self._summarised:
                self._feed.summaries.leave()
        self._snapshot.clear()
        self._pending.clear()
