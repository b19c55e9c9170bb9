"""What a publisher sends next, and what the gateway's replies mean for it. Synchronous: decides, does no I/O."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec import Raw, Struct

from turnwire.connecting.handshake import Lost
from turnwire.errors import EventsRejected, refusal
from turnwire.protocol.codec import Codec
from turnwire.protocol.control.messages import CommandPush
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.messages import (
    Ack,
    Complete,
    Completed,
    Error,
    Event,
    EventIn,
    Goaway,
    Limits,
    Nack,
    NackItem,
    Opened,
    PublisherReply,
    Session,
    Shape,
)
from turnwire.protocol.rules import same_event
from turnwire.publishing.commands import Commands
from turnwire.publishing.outbox import Entry, Outbox, OutOfStep

log = logging.getLogger("turnwire")

T = TypeVar("T")


class Acked(Struct, frozen=True):
    """One event is durable."""

    event_id: str
    seq: int
    duplicate: bool
    """Whether it was stored before: by an earlier run, or by a sending whose ack was lost."""
    latency: float
    """Seconds from its first sending to the answer, reconnects and all."""


class EventLimits(Struct, frozen=True):
    """What an event may be: bytes as sent, and levels of its payload, the object itself included."""

    event_bytes: int
    depth: int


MAX_NACKS = 1000
"""Refused events that are kept; the oldest give way. A bot that goes on to send what is refused must not grow."""
UNTOLD = EventLimits(Limits().event_bytes, Limits().depth)
"""What holds until the gateway has told its own limits: the protocol's defaults."""


class _Append(Shape, tag_field="type", tag="append"):
    events: list[Raw]


class _Signal(Shape, tag_field="type", tag="signal"):
    key: str
    payload: Raw


class Delivery:
    """The state of one publisher, over all its connections. Owned by the loop of the Publisher it belongs to."""

    def __init__(
        self,
        codec: Codec,
        outbox: Outbox,
        on_ack: Callable[[Acked], None] | None,
        on_nack: Callable[[NackItem], None] | None,
    ) -> None:
        self.outbox = outbox
        self.opened: Opened | None = None
        """What the gateway said last when a connection opened."""
        self.is_open = False
        """Whether a connection is open now."""
        self.session: Session | None = None
        self.ended = False
        """Whether the session has ended and this publisher is done with it."""
        self.leaving: Goaway | None = None
        """The gateway is about to close the connection and takes nothing more."""
        self.refused = 0
        """Events that the gateway has refused."""
        self.nacks: deque[NackItem] = deque(maxlen=MAX_NACKS)
        self.unreported: deque[NackItem] = deque(maxlen=MAX_NACKS)
        """Those that nobody has been told of by a callback or an exception."""
        self.ending: Complete | None = None
        self.dropped = 0
        """Events that could not be taken."""
        self.limits = UNTOLD
        self.commands: Commands | None = None
        """None while nobody carries out commands."""
        self._codec = codec
        self._on_ack = on_ack
        self._on_nack = on_nack
        self._signals: dict[str, bytes] = {}
        self._signalled = False
        self._end_sent = False

    @property
    def awaits_answer(self) -> bool:
        return self.outbox.in_flight > 0 or self._end_sent

    def connected(self, opened: Opened, now: float) -> None:
        """A connection is open: take out what is stored, and have the rest sent again."""
        self.opened, self.session, self.is_open = opened, opened.session, True
        self.limits = EventLimits(opened.limits.max_event_bytes, opened.limits.max_depth)
        self._end_sent = self._signalled = False
        if self.commands is not None:
            self.commands.connected(opened)
        for entry, seq in self.outbox.reconnected(opened.last_seq, opened.last_event_id):
            self._acked(entry, seq, False, now)

    def disconnected(self) -> None:
        self.is_open = False
        self.leaving = None
        self._signals.clear()

    def add_signal(self, key: str, payload: bytes) -> None:
        """Put a signal, its payload encoded, before the next frame, over an older one of its key.

        Dropped when no connection is open.
        """
        if self.is_open and self.leaving is None:
            self._signals.pop(key, None)
            self._signals[key] = payload

    def next_message(self, now: float) -> Shape | None:
        """What to send now: signals, then events as far as flow control allows, then the end. None: nothing yet."""
        if self.opened is None or self.leaving is not None or self._end_sent:
            return None
        if self.commands is not None and (said := self.commands.next_message()) is not None:
            self._signalled = True  # an older gateway reports an error
            return said
        if self._signals:
            key = next(iter(self._signals))
            self._signalled = True
            return _Signal(key, Raw(self._signals.pop(key)))
        limits = self.opened.limits
        frame = self.outbox.next_frame(
            max_in_flight=limits.max_in_flight,
            max_events=limits.max_batch_events,
            max_bytes=limits.max_frame_bytes,
            now=now,
        )
        if frame:
            return _Append([Raw(entry.data) for entry in frame])
        if self.ending is not None and len(self.outbox) == self.outbox.in_flight:
            self._end_sent = True
            return self.ending
        return None

    def received(self, reply: PublisherReply, now: float) -> None:
        """A reply of the gateway. Raises Lost when the connection must be opened again, Refused when it is no use."""
        try:
            if isinstance(reply, Ack):
                for ack in reply.acks:
                    self._acked(self.outbox.answered(ack.event_id, ack.seq), ack.seq, ack.duplicate, now)
            elif isinstance(reply, Nack):
                for nack in reply.nacks:
                    self._nacked(nack)
        except OutOfStep as breach:
            raise Lost(str(breach)) from None
        if isinstance(reply, Completed):
            self.session, self.ended = reply.session, self._end_sent  # not asked for: it may send for a while
        elif isinstance(reply, CommandPush):
            if self.commands is not None:
                self.commands.received(reply)
        elif isinstance(reply, Goaway):
            self.leaving = reply
        elif isinstance(reply, Error):
            self._failed(reply)

    def _acked(self, entry: Entry, seq: int, duplicate: bool, now: float) -> None:
        since = now if entry.first_sent is None else entry.first_sent
        _tell(self._on_ack, Acked(entry.event_id, seq, duplicate, now - since))

    def _nacked(self, nack: NackItem) -> None:
        if nack.retryable:
            raise Lost(f"the gateway could not take event {nack.event_id!r} now: {nack.message}")
        entry = self.outbox.answered(nack.event_id)
        # The gateway does not repeat an id it cannot take; the author needs it all the same.
        self._refused(NackItem(entry.event_id, nack.code, nack.message, nack.retryable))

    def _refused(self, nack: NackItem) -> None:
        self.refused += 1
        self.nacks.append(nack)
        if self._on_nack is None:
            self.unreported.append(nack)
            log.warning("event %r refused: %s: %s", nack.event_id, nack.code.value, nack.message)
        _tell(self._on_nack, nack)

    def report_nacks(self, session: Session | None) -> None:
        """Raises EventsRejected for what was refused since the last time, unless a callback was told."""
        nacks = list(self.unreported)
        self.unreported.clear()
        if nacks:
            raise EventsRejected(nacks, session)

    def _failed(self, error: Error) -> None:
        if self._signalled and not self._end_sent:  # about a signal; a frame left unanswered ends the connection
            log.warning("the gateway reports an error: %s: %s", error.code.value, error.message)
        elif error.retryable:
            raise Lost(error.message)
        else:
            raise refusal(f"the gateway reports an error: {error.message}", error.code)

    def settle(self, session: Session, stored: Mapping[str, Event], now: float) -> None:
        """The session has ended, and its log holds `stored` of what is in the outbox. The rest stays there."""
        self.session, self.ended = session, True
        for entry in self.outbox.take_out(stored):
            event = stored[entry.event_id]
            if same_event(event, self._event(entry)):
                self._acked(entry, event.seq, True, now)
            else:
                message = f"event {entry.event_id!r} is stored with another type or payload"
                self._refused(NackItem(entry.event_id, ErrorCode.EVENT_CONFLICT, message, False))

    def unanswered(self) -> list[EventIn]:
        """The events without an ack or a nack, in order."""
        return [self._event(entry) for entry in self.outbox]

    def _event(self, entry: Entry) -> EventIn:
        return self._codec.decode_body(entry.data, EventIn, Limits())


def _tell(callback: Callable[[T], None] | None, news: T) -> None:
    if callback is None:
        return
    try:
        callback(news)
    except Exception:
        log.exception("a callback failed")
