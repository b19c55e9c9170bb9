"""What one watcher has been told of one session, and how it gets the rest: live, or from the store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from msgspec import Struct

from turnwire.gateway.connections.outbox import Outbox
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.watching.audience import join, leave
from turnwire.gateway.watching.event_batch import EventBatch
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import JsonObject
from turnwire.protocol.replay import Gap, overlap
from turnwire.store.event_log import READ_WINDOW, EventLog

_FIRST_WINDOW = 8
_TARGET_BYTES = 256 * 1024
"""A window of the replay is made smaller when it held more than this."""

Frames = Sequence[tuple[bytes, int]]
"""Frames of consecutive events, each with the seq of its last one."""


class Watching(Struct, frozen=True):
    """What all subscriptions of a gateway share."""

    log: EventLog
    clock: Callable[[], float]
    """The loop's clock."""
    switched: Callable[[], None]
    """Told each time a subscription has fallen behind."""
    watch_changed: Callable[[SessionState], None] = lambda _: None
    """Told of a session each time that somebody begins to watch it, or ceases to."""


class Subscription(ABC):
    """One watcher of one session. Its `cursor` is the last seq put into the outbox; what comes is always the next one.

    Live, events are put as they become durable. A watcher whose outbox is full is *behind*: nothing is put until
    `catch_up` has read from the store up to the head, where it joins the live stream again. The join is exact because
    the head and the offers move in one step (see SessionState).
    """

    __slots__ = (
        "_caught_up_due",
        "_session_due",
        "_watching",
        "_window",
        "behind",
        "closed",
        "cursor",
        "outbox",
        "state",
    )

    def __init__(self, watching: Watching, state: SessionState, after_seq: int, outbox: Outbox) -> None:
        self._watching = watching
        self.state = state
        self.cursor = after_seq
        self.outbox = outbox
        self.behind = True  # until it is started
        self.closed = False
        self._window = _FIRST_WINDOW
        self._session_due = False
        self._caught_up_due = True

    # What a kind of watcher makes of it

    @abstractmethod
    def frames(self, batch: EventBatch) -> Frames: ...

    @abstractmethod
    def signal_frame(self, key: str, payload: JsonObject) -> bytes: ...

    @abstractmethod
    def session_frame(self) -> bytes: ...

    @abstractmethod
    def caught_up_frame(self) -> bytes: ...

    @abstractmethod
    def fell_behind(self) -> None:
        """Somebody must call `catch_up` until it is no longer behind."""

    @abstractmethod
    def session_erased(self) -> None:
        """The session is no more: tell the client, who gets nothing more of it."""

    @abstractmethod
    def break_off(self) -> None:
        """What was delivered is no longer in the log: tell the client, who must start again."""

    # Told by the session

    def start(self) -> None:
        """Watch the session, from the cursor on."""
        join(self.state, self)
        self._watching.watch_changed(self.state)
        if self.cursor == self.state.record.last_seq:
            self._join()
        else:
            self.fell_behind()

    def offer(self, batch: EventBatch) -> None:
        if self.behind:
            return
        if batch.first != self.cursor + 1:  # it usually is
            if batch.last <= self.cursor:
                return
            try:
                batch = batch.after(overlap(self.cursor, batch.first, batch.last))
            except Gap:
                self._fall_behind()
                return
        if not self._put(self.frames(batch)):
            self._fall_behind()

    def signal(self, key: str, payload: JsonObject) -> None:
        if not self.behind and self.outbox.has_room:
            self.outbox.put(self.signal_frame(key, payload), key=(self, key))

    def session_changed(self) -> None:
        self._session_due = True
        if self.behind:
            return
        if self.outbox.has_room:
            self._join()
        else:
            self._fall_behind()

    def erased(self) -> None:
        """The session is no more."""
        self.close()
        self.session_erased()

    def rolled_back(self, last_seq: int) -> None:
        """The log ends here now."""
        if self.cursor > last_seq:
            self.close()
            self.break_off()

    def _fall_behind(self) -> None:
        self.behind = True
        self._watching.switched()
        self.fell_behind()

    # Driven by the watcher's own task

    async def catch_up(self) -> None:
        """To be called when the outbox has room: put the next window from the store, or join the live stream."""
        if self.closed:
            return
        head = self.state.record.last_seq
        if self.cursor == head:
            self._join()
            return
        last = min(self.cursor + self._window, head)
        record = self.state.record
        events = await self._watching.log.read(record.session_id, self.cursor + 1, last, record.life)
        if self.closed:
            return
        if not events or events[0].seq != self.cursor + 1:
            raise StorageUnavailable(f"events after seq={self.cursor} cannot be read, head={head}")
        frames = self.frames(EventBatch(events))
        self._fit_window(len(events), sum(len(frame) for frame, _ in frames))
        await self.outbox.room()
        if not self.closed:
            self._put(frames)

    def _put(self, frames: Frames) -> bool:
        """Put what there is room for, and move the cursor behind it. Whether that was all."""
        for frame, last in frames:
            if not self.outbox.offer(frame):
                return False
            self.cursor = last
        return True

    def _fit_window(self, count: int, size: int) -> None:
        """Large events are read a few at a time, so that a window stays small in memory."""
        if size > _TARGET_BYTES:
            self._window = max(1, count // 2)
        else:
            self._window = min(READ_WINDOW, self._window * 2)

    def _join(self) -> None:
        """Be live, and say what is due."""
        joins, self.behind = self.behind, False
        if self._caught_up_due:
            self._caught_up_due = False
            self.outbox.put(self.caught_up_frame())
        if self._session_due:
            self._session_due = False
            self.outbox.put(self.session_frame())
        if joins and self.state.interims is not None:
            for key, payload in self.state.interims.kept.items():
                self.signal(key, payload)

    def close(self) -> None:
        """Watch no more."""
        self.closed = True
        leave(self.state, self)
        self._watching.watch_changed(self.state)
        self.state.last_used = self._watching.clock()
