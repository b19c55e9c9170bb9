"""One subscriber's feed of sessions: a snapshot, then the changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.watching.feed import Change, Feed
from turnwire.protocol.codec import Codec
from turnwire.protocol.messages import Erased, Limits, Message, Session, SessionStatus, Subscribed, Summary
from turnwire.protocol.rules import has_ended
from turnwire.protocol.times import parse_time
from turnwire.store.sessions import SessionQuery

MAX_SNAPSHOT = 500
"""Most sessions in the snapshot that a feed begins with."""
CHANGES_AT_ONCE = 50
"""Changes that are put into the outbox at once. The rest follows when other connections have had their turn."""
_FIRST_PAGE = 20
_PAGE_BYTES = 256 * 1024
"""Approximate size in bytes of the sessions that are read at a time: few of them if their metadata is large."""
_SUMMARY_BYTES = _ENVELOPE_BYTES = 1024
"""Generous estimates of the sizes of a summary and of what surrounds the sessions in a message."""


class Sink(Protocol):
    """The connection that a feed is sent on."""

    @property
    def codec(self) -> Codec: ...

    @property
    def outbox(self) -> FrameOutbox: ...

    def send(self, message: Message) -> None: ...
    def frame(self, payload: bytes) -> bytes: ...

    @property
    def limits(self) -> Limits: ...

    def lags(self, subscription: FeedSubscription) -> None:
        """Called when the outbox is full and the subscription has more to send. Call `catch_up` when there is room."""


class _Listed(Struct, frozen=True):
    """A session of the snapshot."""

    session_id: str
    started_at: str
    encoded: bytes
    ended: bool


class ListSessions(Protocol):
    def __call__(self, query: SessionQuery, show: Callable[[Session], _Listed]) -> Awaitable[list[_Listed]]:
        """Read a page, and return what the function makes of each session. Raises StorageUnavailable."""


class _Part:
    """One frame of the snapshot, while it waits: a session can still be taken out of it."""

    def __init__(self, sink: Sink, ref: str, summaries: dict[str, Summary] | None) -> None:
        self.ref = ref
        self._sink = sink
        self._summaries = summaries
        self._sizes: list[tuple[str, int]] = []
        self._begin = 0

    def frame(self, sessions: list[tuple[str, bytes]]) -> bytes:
        """Return the frame of these sessions: their ids and encoded forms."""
        encoded = [each for _, each in sessions]
        self._sizes = [(session_id, len(each)) for session_id, each in sessions]
        frame = self._sink.frame(self._sink.codec.sessions_frame(self.ref, encoded, self._summaries))
        self._begin = frame.find(encoded[0]) if encoded else 0
        return frame

    def without(self, session_id: str, frame: bytes) -> bytes:
        """Return the frame, which is this part's, without this session."""
        gap = int(self._sink.codec.text)  # the comma
        left, at = [], self._begin
        for each, size in self._sizes:
            if each != session_id:
                left.append((each, frame[at : at + size]))
            at += size + gap
        if len(left) == len(self._sizes):
            return frame
        if self._summaries is not None:
            self._summaries.pop(session_id, None)
        return self.frame(left)


class FeedSubscription:
    """A feed watched over a WebSocket.

    Holds at most a page of the snapshot and one pending change for each session, until the outbox has room for them.
    Each page of the snapshot is read when the one before is on its way.
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
        self._closed = self._ready = self._begun = False
        self._list_sessions: ListSessions | None = None
        self._next_page: SessionQuery | None = None
        """None once all of the snapshot has been read."""
        self._left = MAX_SNAPSHOT
        self._snapshot: deque[_Listed] = deque()
        self._pending: dict[str, Change | None] = {}
        """sessionId → the news of the session; None: it has been erased."""

    async def start(self, list_sessions: ListSessions, patterns: Sequence[str] | None = None) -> None:
        """Watch from now on, then send the snapshot. Changes that come in between are sent after it.

        `patterns` as in SessionQuery. Raises what `list_sessions` raises.
        """
        self._feed.subscriptions.add(self)
        if self._summarised:
            self._feed.summaries.listen()
        self._list_sessions = list_sessions
        self._next_page = SessionQuery(limit=_FIRST_PAGE, status=self._status, patterns=patterns)
        await self._read_page()
        self._sink.send(Subscribed(self.ref, min_receive_bytes=self._sink.limits.receive_bytes))
        self._ready = True
        self.push()

    async def _read_page(self) -> None:
        """Read sessions of the snapshot up to about `_PAGE_BYTES`. Raises StorageUnavailable; call it again then."""
        size = 0
        while self._list_sessions is not None and (query := self._next_page) is not None and size < _PAGE_BYTES:
            page = await self._list_sessions(query, self._list)
            if self._closed:
                return
            page_bytes = sum(len(each.encoded) for each in page)
            size += page_bytes
            self._snapshot.extend(each for each in page if self._pending.get(each.session_id, each) is not None)
            self._turn_page(query, page, page_bytes)

    def _list(self, session: Session) -> _Listed:
        self._feed.listed(session)
        newest = self._feed.newest(session)
        quiet = self._feed.quiet_ms(newest)
        encoded = self._sink.codec.encode_value(newest if quiet is None else replace(newest, quiet_ms=quiet))
        return _Listed(session.session_id, session.started_at, encoded, has_ended(newest.status))

    def _turn_page(self, query: SessionQuery, page: Sequence[_Listed], size: int) -> None:
        """Set the next page after these sessions, which have this many bytes together."""
        self._left -= len(page)
        if len(page) < query.limit or self._left <= 0:
            self._next_page = None
            return
        last = page[-1]
        limit = max(1, min(self._left, _PAGE_BYTES * len(page) // max(size, 1)))
        self._next_page = replace(query, limit=limit, before=(parse_time(last.started_at), last.session_id))

    def offer(self, change: Change, statuses: set[SessionStatus]) -> None:
        """Keep the change if the session passes the filter now, or passed it at any time since the last tick."""
        session_id = change.session.session_id
        if not self._covers(session_id):
            return
        if not self._status or session_id in self._pending or not statuses.isdisjoint(self._status):
            self._pending[session_id] = change

    def erased(self, session_id: str) -> None:
        if self._covers(session_id):
            self._snapshot = deque(each for each in self._snapshot if each.session_id != session_id)
            self._pending[session_id] = None
            self._sink.outbox.revise(lambda of, frame: self._without(session_id, of, frame))

    def _without(self, session_id: str, of: object, frame: bytes) -> bytes:
        """Return a queued frame without this session; empty if nothing else is in it."""
        if isinstance(of, _Part) and of.ref == self.ref:
            return of.without(session_id, frame)
        return b"" if of == (self, session_id) else frame

    def push(self) -> None:
        """Put some of what is pending into the outbox while it has room. The rest is for `catch_up`."""
        if not self._ready or self._closed:
            return
        outbox = self._sink.outbox
        self._push_snapshot()
        for session_id in tuple(islice(self._pending, CHANGES_AT_ONCE)) if self._is_listed else ():
            if not outbox.has_room:
                break
            change = self._pending.pop(session_id)
            if change is None:
                self._sink.send(Erased(self.ref, session_id))
            else:
                frame = change.frame(self._sink.codec, self.ref, summarised=self._summarised)
                outbox.put(frame, of=(self, session_id))
        if self._pending or not self._is_listed:
            self._lag()

    @property
    def _is_listed(self) -> bool:
        """Whether all of the snapshot is on its way."""
        return self._begun and not self._snapshot and self._next_page is None

    def _push_snapshot(self) -> None:
        while (self._snapshot or not self._begun) and self._sink.outbox.has_room:
            self._begun = True  # with a frame of no sessions if there are none
            part = self._take_part()
            made = _Part(self._sink, self.ref, self._summaries(part) if self._summarised else None)
            frame = made.frame([(each.session_id, each.encoded) for each in part])
            self._sink.outbox.put(frame, of=made)

    def _take_part(self) -> list[_Listed]:
        """Take as many sessions of the snapshot as fit into one frame, but at least one."""
        part: list[_Listed] = []
        left = self._sink.outbox.frame_bytes - _ENVELOPE_BYTES
        while self._snapshot:
            left -= len(self._snapshot[0].encoded) + self._summarised * _SUMMARY_BYTES
            if part and left < 0:
                break
            part.append(self._snapshot.popleft())
        return part

    def _summaries(self, part: Sequence[_Listed]) -> dict[str, Summary]:
        """Return the known summaries of those sessions that have not ended."""
        known = [(each.session_id, self._feed.summary(each.session_id)) for each in part if not each.ended]
        return {session_id: summary for session_id, summary in known if summary is not None}

    def _lag(self) -> None:
        self.behind = True
        self._sink.lags(self)

    async def catch_up(self) -> None:
        """Continue with what is left. Call this when the outbox has room, until `behind` stays False.

        Raises StorageUnavailable.
        """
        if not self._snapshot:
            await self._read_page()
        self.behind = False
        self.push()

    def close(self) -> None:
        """Stop watching the feed, and drop what is pending."""
        self._closed = True
        if self in self._feed.subscriptions:
            self._feed.subscriptions.remove(self)
            if self._summarised:
                self._feed.summaries.leave()
        self._snapshot.clear()
        self._pending.clear()
