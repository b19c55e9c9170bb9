"""Changes of sessions, conflated, for `feed: sessions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.event_batch import MAX_FRAME_BYTES
from gateway.outbox import server_frame
from protocol.codec import Codec
from protocol.messages import Session, SessionsPush, SessionStatus, Subscribed
from store.sessions import SessionQuery

if TYPE_CHECKING:
    from gateway.live_session import LiveSession
    from gateway.subscriber import SubscriberConnection

MAX_SNAPSHOT = 500
"""Sessions a feed begins with."""


class Change:
    """A session as it is now, encoded once for all who hear of it."""

    __slots__ = ("_encoded", "_frames", "session")

    def __init__(self, session: Session) -> None:
        self.session = session
        self._encoded: dict[Codec, bytes] = {}
        self._frames: dict[tuple[Codec, str], bytes] = {}

    def frame(self, codec: Codec, ref: str) -> bytes:
        frame = self._frames.get((codec, ref))
        if frame is None:
            encoded = self._encoded.get(codec)
            if encoded is None:
                encoded = self._encoded[codec] = codec.encode_value(self.session)
            frame = self._frames[codec, ref] = server_frame(codec.session_frame(ref, encoded), text=codec.text)
        return frame


class Feed:
    """Collects changes and tells the subscribers of them on a tick, each session once. Owner: the hub's tick task."""

    def __init__(self) -> None:
        self.subscriptions: set[FeedSubscription] = set()
        self._changed: dict[LiveSession, set[str]] = {}

    def changed(self, live: LiveSession, status_before: str) -> None:
        """Something about the session is new; `status_before` is its status before that."""
        if self.subscriptions:
            self._changed.setdefault(live, set()).add(status_before)

    def tick(self) -> None:
        """Tell of all that has changed since the last tick."""
        if not self._changed:
            return
        changes, self._changed = self._changed, {}
        for live, statuses in changes.items():
            change = Change(live.session())
            statuses.add(live.record.status)
            for subscription in self.subscriptions:
                subscription.offer(change, statuses)
        for subscription in self.subscriptions:
            subscription.push()


class FeedSubscription:
    """A feed watched over a WebSocket. Holds at most one pending change for each session."""

    def __init__(self, connection: SubscriberConnection, ref: str, status: tuple[SessionStatus, ...]) -> None:
        self.connection = connection
        self.ref = ref
        self.status = status
        self.behind = False
        self._ready = False
        self._pending: dict[str, Change] = {}

    async def start(self) -> None:
        """Watch from now on, then send the sessions there are: what changes in between comes after them."""
        hub = self.connection.hub
        hub.feed.subscriptions.add(self)
        sessions = await hub.list_sessions(SessionQuery(limit=MAX_SNAPSHOT, status=self.status))
        self.connection.send(Subscribed(self.ref))
        for part in self._parts(sessions):
            self.connection.send(SessionsPush(self.ref, part))
        self._ready = True
        self.push()

    def _parts(self, sessions: Sequence[Session]) -> list[list[Session]]:
        """One message, unless large metadata makes it too large."""
        parts: list[list[Session]] = [[]]
        size = 0
        for session in sessions:
            size += len(self.connection.codec.encode_value(session))
            if size > MAX_FRAME_BYTES and parts[-1]:
                parts.append([])
                size = 0
            parts[-1].append(session)
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
        while self._pending and outbox.has_room:
            session_id = next(iter(self._pending))
            outbox.put(self._pending.pop(session_id).frame(self.connection.codec, self.ref))
        self.behind = bool(self._pending)
        if self.behind:
            self.connection.lags(self)

    async def catch_up(self) -> bool:
        """Called when there is room again. Returns whether nothing is pending."""
        self.push()
        return not self.behind

    def close(self) -> None:
        self.connection.hub.feed.subscriptions.discard(self)
        self._pending.clear()
