"""What one watcher has been told of one session, and how it gets the rest: live, or from the store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from gateway.event_batch import EventBatch
from gateway.live_session import LiveSession
from gateway.outbox import Outbox
from protocol.errors import StorageUnavailable
from protocol.replay import Gap, overlap
from store.event_log import READ_WINDOW

_FIRST_WINDOW = 16
_TARGET_BYTES = 256 * 1024
"""A window of the replay is made smaller when it held more than this."""


class Subscription(ABC):
    """One watcher of one session. Its `cursor` is the last seq put into the outbox; what comes is always the next one.

    Live, events are put as they become durable. A watcher whose outbox is full is *behind*: nothing is put until
    `catch_up` has read from the store up to the head, where it joins the live stream again. The join is exact because
    the head and the offers move in one step (see LiveSession).
    """

    def __init__(self, live: LiveSession, after_seq: int, outbox: Outbox) -> None:
        self.live = live
        self.cursor = after_seq
        self.outbox = outbox
        self.behind = False
        self.closed = False
        self._window = _FIRST_WINDOW
        self._session_due = False
        self._caught_up_due = False

    # What a kind of watcher does with it

    @abstractmethod
    def put_events(self, batch: EventBatch) -> int:
        """Returns the bytes put."""

    @abstractmethod
    def put_signal(self, key: str, payload: dict[str, Any]) -> None: ...

    @abstractmethod
    def put_session(self) -> None: ...

    @abstractmethod
    def put_caught_up(self) -> None: ...

    @abstractmethod
    def fell_behind(self) -> None:
        """Somebody must call `catch_up` until it says it is done."""

    # Told by the session

    def start(self) -> None:
        """Watch the session, from the cursor on."""
        self.live.watchers.add(self)
        self._caught_up_due = True
        if self.cursor == self.live.record.last_seq:
            self._join()
        else:
            self.behind = True
            self.fell_behind()

    def offer(self, batch: EventBatch) -> None:
        if self.behind:
            return
        try:
            skipped = overlap(self.cursor, batch.first, batch.last)
        except Gap:
            skipped = -1
        if skipped < 0 or not self.outbox.has_room:
            self.behind = True
            self.live.hub.metrics.fell_behind()
            self.fell_behind()
            return
        if batch.last > self.cursor:
            self.put_events(batch.after(skipped))
            self.cursor = batch.last

    def signal(self, key: str, payload: dict[str, Any]) -> None:
        if not self.behind and self.outbox.has_room:
            self.put_signal(key, payload)

    def session_changed(self) -> None:
        if self.behind:
            self._session_due = True
        else:
            self.put_session()

    # Driven by the watcher's own task

    async def catch_up(self) -> bool:
        """Put the next window from the store, or join the live stream. Returns whether it is live (or closed)."""
        if self.closed:
            return True
        head = self.live.record.last_seq
        if self.cursor < head:
            last = min(self.cursor + self._window, head)
            events = await self.live.hub.store.events.read(self.live.session_id, self.cursor + 1, last)
            if self.closed:
                return True
            if not events or overlap(self.cursor, events[0].seq, events[-1].seq):
                raise StorageUnavailable(f"events after seq={self.cursor} cannot be read, head={head}")
            batch = EventBatch(events)
            self._fit_window(len(events), self.put_events(batch))
            self.cursor = batch.last
            return False
        self._join()
        return True

    def _fit_window(self, count: int, size: int) -> None:
        """Large events are read a few at a time, so that a window stays small in memory."""
        if size > _TARGET_BYTES:
            self._window = max(1, count // 2)
        else:
            self._window = min(READ_WINDOW, self._window * 2)

    def _join(self) -> None:
        self.behind = False
        if self._caught_up_due:
            self._caught_up_due = False
            self.put_caught_up()
        if self._session_due:
            self._session_due = False
            self.put_session()

    def close(self) -> None:
        """Watch no more."""
        self.closed = True
        self.live.watchers.discard(self)
        self.live.last_used = self.live.hub.clock()
