"""Changes of sessions, conflated, for `feed: sessions`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from turnwire.gateway.connections.frames import server_frame
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.watching.summaries import Summaries
from turnwire.protocol.codec import Codec
from turnwire.protocol.messages import Session, SessionStatus, Summary
from turnwire.store.event_log import EventLog


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


class Listener(Protocol):
    """A subscription to the feed."""

    def offer(self, change: Change, statuses: set[SessionStatus]) -> None:
        """A session has changed; `statuses` are those it has had since the last tick."""

    def erased(self, session_id: str) -> None:
        """The session is no more, nor is anything that was offered of it."""

    def push(self) -> None:
        """All changes of this tick have been offered."""


class Feed:
    """Collects changes and tells the subscribers of them on a tick, each session once. Owner: the hub's tick task."""

    def __init__(self, log: EventLog, find: Callable[[str], SessionState | None]) -> None:
        """`find` gives a session that is in memory."""
        self.find = find
        self.elsewhere: Callable[[str], Change | None] = lambda _: None
        """What other gateways have told of a session."""
        self.listed: Callable[[Sequence[Session]], None] = lambda _: None
        """Told of the sessions that a subscription begins with."""
        self.subscriptions: set[Listener] = set()
        self.summaries = Summaries(log, lambda state: self.changed(state, state.record.status))
        self._changed: dict[SessionState, set[SessionStatus]] = {}
        self._erased: dict[str, None] = {}

    def newest(self, session: Session) -> Session:
        """The session as another gateway has told of it, if that is further than this."""
        told = self.elsewhere(session.session_id)
        if told is None or session.ended_at is not None or told.session.last_seq < session.last_seq:
            return session
        return told.session

    def summary(self, session_id: str) -> Summary | None:
        """What is known of the conversation, here or elsewhere."""
        state = self.find(session_id)
        summary = None if state is None else self.summaries.of(state)
        told = self.elsewhere(session_id)
        return told.summary if summary is None and told is not None else summary

    def changed(self, state: SessionState, before: SessionStatus) -> None:
        """Something about the session is new; `before` is its status before that."""
        if self.subscriptions:
            self._changed.setdefault(state, set()).add(before)

    def erased(self, session_id: str) -> None:
        """The session of this id is no more. There may be a new one: that is told of once more."""
        self._changed = {state: before for state, before in self._changed.items() if state.session_id != session_id}
        if self.subscriptions:
            self._erased[session_id] = None
            new = self.find(session_id)
            if new is not None and not new.erased:
                self.changed(new, new.record.status)

    def heard(self, state: SessionState, durable: Durable) -> None:
        """These events, the next ones of the session, have become durable."""
        self.summaries.heard(state, durable)

    async def tick(self) -> None:
        """Tell of all that has changed since the last tick."""
        erased, self._erased = self._erased, {}
        for subscription in self.subscriptions:
            for session_id in erased:
                subscription.erased(session_id)
        changes, self._changed = self._changed, {}
        for state, statuses in changes.items():
            change = Change(state.session(), self.summaries.of(state) if self.summaries.listeners else None)
            statuses.add(state.record.status)
            for subscription in self.subscriptions:
                subscription.offer(change, statuses)
        for subscription in self.subscriptions:
            subscription.push()
