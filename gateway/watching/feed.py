"""The feed of sessions (`feed: sessions`): conflates their changes and offers them to its subscribers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from turnwire.gateway.connections.frames import server_frame
from turnwire.gateway.live.conversing import freshen
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.turns import Slices, Turns
from turnwire.gateway.watching.summaries import Summaries
from turnwire.protocol.codec import Codec
from turnwire.protocol.messages import Session, SessionStatus, Summary
from turnwire.store.event_log import EventLog


class Change:
    """A session as it is now, encoded once for all subscribers of the feed."""

    __slots__ = ("_encoded", "_frames", "session", "summary")

    def __init__(self, session: Session, summary: Summary | None = None) -> None:
        self.session = session
        self.summary = summary
        self._encoded: dict[Codec, tuple[bytes, bytes | None]] = {}
        self._frames: dict[tuple[Codec, str, bool], bytes] = {}

    def frame(self, codec: Codec, ref: str, *, summarised: bool) -> bytes:
        """Return the frame of the `session` message; with its summary, if there is one, when `summarised`."""
        frame = self._frames.get((codec, ref, summarised))
        if frame is None:
            encoded = self._encoded.get(codec)
            if encoded is None:
                summary = None if self.summary is None else codec.encode_value(self.summary)
                encoded = self._encoded[codec] = codec.encode_value(self.session), summary
            payload = codec.session_frame(ref, encoded[0], encoded[1] if summarised else None)
            frame = self._frames[codec, ref, summarised] = server_frame(payload, text=codec.text)
        return frame


class FeedListener(Protocol):
    """A subscription to the feed."""

    def offer(self, change: Change, statuses: set[SessionStatus]) -> None:
        """Called when a session has changed. `statuses`: all statuses that it has had since the last tick."""

    def erased(self, session_id: str) -> None:
        """Called when the session has been erased. Nothing that was offered of it may be shown any more."""

    def push(self) -> None:
        """Called after all changes of this tick have been offered. Sends some of them, and leaves the rest to its own
        task."""


class Feed:
    """Collects changes of sessions and offers them to its subscribers on each tick, each session once.

    Owned by the task that calls `tick`.
    """

    def __init__(self, log: EventLog, find: Callable[[str], SessionState | None], turns: Turns | None = None) -> None:
        """`find` returns a session that is in memory."""
        self.find = find
        self.turns = turns or Turns()
        self.elsewhere: Callable[[str], Change | None] = lambda _: None
        """Returns what another gateway has reported of a session; None if nothing."""
        self.listed: Callable[[Session], None] = lambda _: None
        """Called with each session that a subscription begins with."""
        self.quiet_ms: Callable[[Session], int | None] = lambda _: None
        """Returns for how many milliseconds no event of a session has arrived; None if that is not known here."""
        self.subscriptions: set[FeedListener] = set()
        self.summaries = Summaries(log, lambda state: self.changed(state, state.record.status))
        self._changed = OrderedDict[str, tuple[SessionState, set[SessionStatus]]]()
        """sessionId → (session, statuses that it has had since the last tick)."""
        self._erased: dict[str, None] = {}

    def newest(self, session: Session) -> Session:
        """Return the session as another gateway has reported it, if that is newer; else `session` itself."""
        reported = self.elsewhere(session.session_id)
        if reported is None or session.ended_at is not None or reported.session.last_seq < session.last_seq:
            return session
        return reported.session

    def summary(self, session_id: str) -> Summary | None:
        """Return the summary of the conversation, made here or reported by another gateway; None if there is none."""
        state = self.find(session_id)
        summary = None if state is None else self.summaries.of(state)
        reported = self.elsewhere(session_id)
        return reported.summary if summary is None and reported is not None else summary

    def changed(self, state: SessionState, before: SessionStatus) -> None:
        """Note that the session has changed; `before` is its previous status. Ignores imports of past calls."""
        if self.subscriptions and not state.record.is_past:
            known = self._changed.get(state.session_id)
            if known is None or known[0] is not state:  # it may have left memory and come back
                known = self._changed[state.session_id] = state, set() if known is None else known[1]
            known[1].add(before)

    def erased(self, session_id: str) -> None:
        """Report that the session of this id has been erased. A new one of the same id is reported like any other."""
        self._changed.pop(session_id, None)
        if self.subscriptions:
            self._erased[session_id] = None
            new = self.find(session_id)
            if new is not None and not new.erased:
                self.changed(new, new.record.status)

    def advanced(self, state: SessionState, durable: Durable) -> None:
        """Add events that have become durable to the session's summary."""
        self.summaries.advanced(state, durable)

    async def tick(self) -> None:
        """Offer everything that has changed since the last tick to the subscribers, a little at a time."""
        slices = Slices(self.turns)
        erased, self._erased = self._erased, {}
        for session_id in erased:
            for subscription in self.subscriptions:
                subscription.erased(session_id)
            await slices.pause()
        changes, self._changed = self._changed, OrderedDict()
        while changes:  # what is offered is freed at once, because freeing thousands together takes milliseconds
            _, (state, statuses) = changes.popitem(last=False)
            await freshen(state)
            if not state.erased:
                self._offer(state, statuses)
                await slices.pause()
        for subscription in tuple(self.subscriptions):
            subscription.push()
            await slices.pause()

    def _offer(self, state: SessionState, statuses: set[SessionStatus]) -> None:
        change = Change(state.session(), self.summaries.of(state) if self.summaries.listeners else None)
        statuses.add(state.record.status)
        for subscription in self.subscriptions:
            subscription.offer(change, statuses)
