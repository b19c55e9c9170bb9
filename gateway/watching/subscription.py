"""One watcher of one session: what it has been sent, and how it gets the rest, live or from the store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from msgspec import Struct

from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.watching.audience import changes_of, join, leave
from turnwire.gateway.watching.encoded_batch import EncodedBatch, Picture
from turnwire.gateway.watching.replays import Frames, Replays
from turnwire.protocol.messages import JsonObject
from turnwire.protocol.replay import Gap, overlap
from turnwire.store.event_log import READ_WINDOW

_FIRST_WINDOW = 8
_TARGET_BYTES = 256 * 1024
"""The next window of a replay is smaller if the last one was larger than this."""


__all__ = ["EventSubscription", "Frames", "Watching"]


class Watching(Struct, frozen=True):
    """What all subscriptions of a gateway share."""

    replays: Replays
    clock: Callable[[], float]
    """The loop's clock."""
    switched: Callable[[], None]
    """Called each time a subscription falls behind."""
    watch_changed: Callable[[SessionState], None] = lambda _: None
    """Called with a session each time somebody starts or stops watching it."""


class EventSubscription(ABC):
    """One watcher of one session. Its `cursor` is the seq of the last event put into the outbox.

    While live, events are put into the outbox as they become durable. A watcher whose outbox is full falls *behind*:
    nothing is put until `catch_up` has read from the store up to the head, where the watcher joins the live stream
    again. The join is exact: the head moves and the events are handed to the audience in one step (see SessionState),
    and a subscription that has joined ignores those that it has.
    """

    __slots__ = (
        "_caught_up_due",
        "_shown",
        "_watching",
        "_window",
        "behind",
        "closed",
        "cursor",
        "outbox",
        "state",
    )

    def __init__(self, watching: Watching, state: SessionState, after_seq: int, outbox: FrameOutbox) -> None:
        self._watching = watching
        self.state = state
        self.cursor = after_seq
        self.outbox = outbox
        self.behind = True  # until `start`
        self.closed = False
        self._window = _FIRST_WINDOW
        self._shown = 0
        """How many changes of the session, as its audience counts them, the watcher has been shown."""
        self._caught_up_due = True

    # Defined by each kind of watcher

    @abstractmethod
    def frames(self, batch: EncodedBatch) -> Frames: ...

    @abstractmethod
    def signal_frame(self, key: str, payload: JsonObject) -> bytes: ...

    @abstractmethod
    def session_frame(self, picture: Picture) -> bytes: ...

    @abstractmethod
    def caught_up_frame(self) -> bytes: ...

    @abstractmethod
    def fell_behind(self) -> None:
        """Have `catch_up` called until `behind` is False."""

    @abstractmethod
    def session_erased(self) -> None:
        """Tell the client that the session has been erased. It gets nothing more of it."""

    @abstractmethod
    def break_off(self) -> None:
        """Tell the client to start again: events that it was sent are no longer in the log."""

    # Called by the session

    def start(self) -> None:
        """Watch the session from the cursor on. The client knows it as it is now."""
        join(self.state, self)
        self._shown = changes_of(self.state)
        self._watching.watch_changed(self.state)
        if self.cursor == self.state.record.last_seq:
            self._join()
        else:
            self.fell_behind()

    def offer(self, batch: EncodedBatch) -> None:
        if self.behind:
            return
        if batch.first != self.cursor + 1:  # rare
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
            self.outbox.put(self.signal_frame(key, payload), key=(self, key), of=self)

    def session_changed(self, picture: Picture) -> None:
        if self.behind or picture.number <= self._shown:
            return
        if self.outbox.has_room:
            self._show(picture)
        else:
            self._fall_behind()

    def erased(self) -> None:
        """Drop everything that waits, because the session has been erased."""
        self.close()
        self.outbox.drop(self)
        self.session_erased()

    def rolled_back(self, last_seq: int) -> None:
        """Break off if the cursor is beyond `last_seq`, the new end of the log."""
        if self.cursor > last_seq:
            self.close()
            self.break_off()

    def _fall_behind(self) -> None:
        self.behind = True
        self._watching.switched()
        self.fell_behind()

    # Called by the watcher's own task

    async def catch_up(self) -> None:
        """Put the next window from the store into the outbox, or join the live stream at the head.

        Call this when the outbox has room. Raises StorageUnavailable.
        """
        if self.closed:
            return
        head = self.state.record.last_seq
        if self.cursor == head:
            self._join()
            return
        last = min(self.cursor + self._window, head)
        frames = await self._watching.replays.frames(self.state.record, self.cursor + 1, last, self.frames)
        if self.closed:
            return
        self._fit_window(frames[-1][1] - self.cursor, sum(len(frame) for frame, _ in frames))
        await self.outbox.room()
        if not self.closed:
            self._put(frames)

    def _put(self, frames: Frames) -> bool:
        """Put frames while there is room, and move the cursor. Return whether all of them were put."""
        for frame, last in frames:
            if not self.outbox.offer(frame, self):
                return False
            self.cursor = last
        return True

    def _fit_window(self, count: int, size: int) -> None:
        """Adapt the window to the size of the events, so that it stays small in memory."""
        if size > _TARGET_BYTES:
            self._window = max(1, count // 2)
        else:
            self._window = min(READ_WINDOW, self._window * 2)

    def _join(self) -> None:
        """Go live, and send the messages that are due."""
        joins, self.behind = self.behind, False
        if self._caught_up_due:
            self._caught_up_due = False
            self.outbox.put(self.caught_up_frame(), of=self)
        changes = changes_of(self.state)
        if changes > self._shown:
            self._show(Picture(self.state.session(), changes))
        if joins and self.state.interims is not None:
            for key, payload in self.state.interims.kept.items():
                self.signal(key, payload)

    def _show(self, picture: Picture) -> None:
        self._shown = picture.number
        self.outbox.put(self.session_frame(picture), of=self)

    def close(self) -> None:
        """Stop watching."""
        self.closed = True
        leave(self.state, self)
        self._watching.watch_changed(self.state)
        self.state.last_used = self._watching.clock()
