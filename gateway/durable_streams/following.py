"""Follows a stream through server-sent events: data events, each followed by a control event that gives the next
offset."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import UNSET, UnsetType

from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.durable_streams.items import item_of
from turnwire.gateway.durable_streams.offsets import next_cursor, offset_of
from turnwire.gateway.durable_streams.waiting import closing_time
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.rest.sse import SseFollower
from turnwire.gateway.watching.encoded_batch import EncodedBatch, Picture
from turnwire.gateway.watching.subscription import Frames, Watching
from turnwire.protocol.codec import JSON
from turnwire.protocol.frame_encoder import one_line
from turnwire.protocol.messages import Event, JsonObject, Shape

_PART_BYTES: Final = 256 * 1024
"""Approximate size of one data event in bytes. A single larger item is still sent whole."""


class _Control(Shape, omit_defaults=True):
    stream_next_offset: str
    stream_cursor: str | UnsetType = UNSET
    up_to_date: bool = False
    stream_closed: bool = False


class StreamFollower(SseFollower):
    """A stream followed over SSE until it is closed."""

    __slots__ = ("_given_cursor", "_said_closed")

    def __init__(
        self, watching: Watching, state: SessionState, after_seq: int, outbox: FrameOutbox, *, cursor: str | None
    ) -> None:
        super().__init__(watching, state, after_seq, outbox)
        self._given_cursor = cursor
        self._said_closed = False

    def begin(self, reconnect_after: float) -> None:
        """Send nothing: the protocol's first event is an item, or the control event that says there is none."""

    def frames(self, batch: EncodedBatch) -> Frames:
        frames = [(self._data(items) + self._control(last), last) for items, last in _parts(batch.events)]
        if batch.last == self.state.record.last_seq:
            self._caught_up_due = False  # the control event has said so
        return frames

    def _data(self, items: Sequence[bytes]) -> bytes:
        return b"event: data\ndata:[%s]\n\n" % b",".join(items)

    def _control(self, last_seq: int) -> bytes:
        at_end = last_seq == self.state.record.last_seq
        is_closed = at_end and not self.state.takes_events
        self._said_closed = is_closed
        cursor = UNSET if is_closed else next_cursor(self._given_cursor)
        control = _Control(offset_of(last_seq), cursor, up_to_date=at_end, stream_closed=is_closed)
        return b"event: control\ndata:%s\n\n" % JSON.encode(control)

    def caught_up_frame(self) -> bytes:
        return self._control(self.cursor)

    def signal(self, key: str, payload: JsonObject) -> None:
        """Do nothing: signals are not items."""

    def session_changed(self, picture: Picture) -> None:
        if not self.behind and self.cursor == self.state.record.last_seq:
            self._finish_if_closed()
        self.wake.set()  # wakes the wait for `patience`

    def _show(self, picture: Picture) -> None:
        """Do nothing: the session is not an item."""

    def session_erased(self) -> None:
        self.end()

    def _join(self) -> None:
        super()._join()
        self._finish_if_closed()

    def _finish_if_closed(self) -> None:
        if self.state.takes_events or self.closed:
            return
        if not self._said_closed:
            self.outbox.put(self._control(self.cursor), of=self)
        self.end()

    @property
    def patience(self) -> float:
        closes_at = closing_time(self.state)
        if closes_at is None:
            return super().patience
        return min(super().patience, max(0.0, closes_at - asyncio.get_running_loop().time()))

    def keep_alive(self) -> None:
        if not self.behind:
            self._finish_if_closed()
        if not self.closed:
            super().keep_alive()


def _parts(events: Sequence[Event]) -> Iterator[tuple[list[bytes], int]]:
    """Yield the items of consecutive events in parts of limited size, each with the seq of its last event."""
    items: list[bytes] = []
    size = 0
    for event in events:
        item = one_line(item_of(event))
        if items and size + len(item) > _PART_BYTES:
            yield items, event.seq - 1
            items, size = [], 0
        items.append(item)
        size += len(item)
    yield items, events[-1].seq
