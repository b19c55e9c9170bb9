"""One subscriber's feed of sessions: a snapshot, then the changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import UNSET

from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.watching.feed import Change, Feed
from turnwire.protocol.codec import Codec
from turnwire.protocol.messages import (
    Erased,
    Limits,
    Message,
    Session,
    SessionsPush,
    SessionStatus,
    Subscribed,
    Summary,
)
from turnwire.protocol.rules import has_ended
from turnwire.store.sessions import SessionQuery

MAX_SNAPSHOT = 500
"""Most sessions in the snapshot that a feed begins with."""
_SUMMARY_BYTES = _ENVELOPE_BYTES = 1024
"""Generous estimates of the sizes of a summary and of what surrounds the sessions in a message."""


class Sink(Protocol):
    """The connection that a feed is sent on."""

    @property
    def codec(self) -> Codec: ...

    @property
    def outbox(self) -> FrameOutbox: ...

    def send(self, message: Message) -> None: ...

    @property
    def limits(self) -> Limits: ...

    def lags(self, subscription: FeedSubscription) -> None:
        """The outbox is full and the subscription has more to send: call `catch_up` when there is room."""


class FeedSubscription:
    """A feed watched over a WebSocket.

    Holds at most the rest of the snapshot and one pending change for each session, until the outbox has room for them.
    """

    def __init__(
        self,
        sink: Sink,
        ref: str,
        feed: Feed,
        *,
        status: tuple[SessionStatus, ...] = (),
        summaries: bool = False,
        covers: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """`status`: only sessions with one of these, or all if empty. `covers`: whether a sessionId may be shown."""
        self.ref = ref
        self._sink = sink
        self._feed = feed
        self._status = status
        self._summarised = summaries
        self._covers = covers
        self.behind = False
        self._ready = False
        self._snapshot: deque[list[Session]] = deque()
        self._pending: dict[str, Change | None] = {}
        """sessionId → what is new of it; None: that it is no more."""

    async def start(
        self, list_sessions: Callable[[SessionQuery], Awaitable[list[Session]]], patterns: Sequence[str] | None = None
    ) -> None:
        """Watch from now on, then send the snapshot. Changes that come in between are sent after it.

        `patterns` as in SessionQuery. Raises what `list_sessions` raises.
        """
        self._feed.subscriptions.add(self)
        if self._summarised:
            self._feed.summaries.listen()
        sessions = await list_sessions(SessionQuery(limit=MAX_SNAPSHOT, status=self._status, patterns=patterns))
        self._feed.listed(sessions)
        self._snapshot.extend(self._parts([self._feed.newest(session) for session in sessions]))
        self._sink.send(Subscribed(self.ref, min_receive_bytes=self._sink.limits.receive_bytes))
        self._ready = True
        self._push_snapshot()

    def _parts(self, sessions: Sequence[Session]) -> list[list[Session]]:
        """Split the sessions so that each part fits into one frame."""
        parts: list[list[Session]] = [[]]
        size = 0
        for session in sessions:
            encoded = len(self._sink.codec.encode_value(session)) + self._summarised * _SUMMARY_BYTES
            if size + encoded > self._sink.outbox.frame_bytes - _ENVELOPE_BYTES and parts[-1]:
                parts.append([])
                size = 0
            parts[-1].append(session)
            size += encoded
        return parts

    def offer(self, change: Change, statuses: set[SessionStatus]) -> None:
        """Keep the change if the session passes the filter now, or passed it at any time since the last tick."""
        session_id = change.session.session_id
        if not self._covers(session_id):
            return
        if not self._status or session_id in self._pending or not statuses.isdisjoint(self._status):
            self._pending[session_id] = change

    def erased(self, session_id: str) -> None:
        if self._covers(session_id):
            self._snapshot = deque([each for each in part if each.session_id != session_id] for part in self._snapshot)
            self._pending[session_id] = None

    def push(self) -> None:
        """Put pending changes into the outbox while it has room."""
        if not self._ready:
            return
        outbox = self._sink.outbox
        self._push_snapshot()
        while not self._snapshot and self._pending and outbox.has_room:
            session_id = next(iter(self._pending))
            change = self._pending.pop(session_id)
            if change is None:
                self._sink.send(Erased(self.ref, session_id))
            else:
                outbox.put(change.frame(self._sink.codec, self.ref, summarised=self._summarised))
        if self._pending:
            self._lag()

    def _push_snapshot(self) -> None:
        while self._snapshot and self._sink.outbox.has_room:
            part = self._snapshot.popleft()
            self._sink.send(SessionsPush(self.ref, part, self._summaries(part) if self._summarised else UNSET))
        if self._snapshot:
            self._lag()

    def _summaries(self, sessions: Sequence[Session]) -> dict[str, Summary]:
        """Return the known summaries of those sessions that have not ended."""
        going_on = [session.session_id for session in sessions if not has_ended(session.status)]
        known = [(session_id, self._feed.summary(session_id)) for session_id in going_on]
        return {session_id: summary for session_id, summary in known if summary is not None}

    def _lag(self) -> None:
        self.behind = True
        self._sink.lags(self)

    async def catch_up(self) -> None:
        """Continue after the outbox was full. To be called when it has room, until `behind` stays False."""
        self.behind = False
        self.push()

    def close(self) -> None:
        """Stop watching the feed, and drop what is pending."""
        if self in self._feed.subscriptions:
            self._feed.subscriptions.remove(self)
            if self._summarised:
                self._feed.summaries.leave()
        self._snapshot.clear()
        self._pending.clear()
