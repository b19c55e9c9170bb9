"""Deciding what a publisher sends next, and handling the gateway's replies. Synchronous, without I/O."""

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
    """An event that is durable."""

    event_id: str
    seq: int
    duplicate: bool
    """Whether it was stored before: by an earlier run, or by an attempt whose ack was lost."""
    latency: float
    """Seconds from its first sending to the answer, reconnects included."""


class EventLimits(Struct, frozen=True):
    """The limits of an event: bytes as sent, and levels of its payload, counting the object itself."""

    event_bytes: int
    depth: int


MAX_NACKS = 1000
"""Maximum number of refused events that are kept; the oldest are dropped first, so that a bot whose events are all
refused does not grow.
"""
UNTOLD = EventLimits(Limits().event_bytes, Limits().depth)
"""The limits until the gateway states its own: the protocol's defaults."""


class _Append(Shape, tag_field="type", tag="append"):
    events: list[Raw]


class _Signal(Shape, tag_field="type", tag="signal"):
    key: str
    payload: Raw


class Delivery:
    """The state of one publisher, across connections. Owned by its PublisherLoop."""

    def __init__(
        self,
        codec: Codec,
        outbox: Outbox,
        on_ack: Callable[[Acked], None] | None,
        on_nack: Callable[[NackItem], None] | None,
    ) -> None:
        self.outbox = outbox
        self.opened: Opened | None = None
        """The gateway's first message on the latest connection."""
        self.is_open = False
        """Whether a connection is open now."""
        self.session: Session | None = None
        self.ended = False
        """Whether the session has ended and this publisher is done with it."""
        self.leaving: Goaway | None = None
        """The gateway's notice that it will close the connection and accepts nothing more on it."""
        self.refused = 0
        """The number of events that the gateway has refused."""
        self.nacks: deque[NackItem] = deque(maxlen=MAX_NACKS)
        self.unreported: deque[NackItem] = deque(maxlen=MAX_NACKS)
        """Refusals that neither a callback nor an exception has reported."""
        self.ending: Complete | None = None
        self.dropped = 0
        """The number of events that could not be queued."""
        self.limits = UNTOLD
        self.commands: Commands | None = None
        """None for a publisher without commands."""
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
        """On a new connection, remove the stored events from the outbox, and have the rest sent again."""
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
        """Queue a signal, its payload encoded, before the next frame, replacing an older one of the same key.

        Drop it if no connection is open.
        """
        if self.is_open and self.leaving is None:
            self._signals.pop(key, None)
            self._signals[key] = payload

    def next_message(self, now: float) -> Shape | None:
        """Return the message to send now, or None: signals, then events as flow control allows, then the end."""
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
        """Handle a reply of the gateway. Raises Lost if the connection must be reopened, Refused if that is useless."""
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
            # after somebody else's end, events are accepted for a while
            self.session, self.ended = reply.session, self._end_sent
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
        # The gateway does not repeat an invalid id, but the author needs it.
        self._refused(NackItem(entry.event_id, nack.code, nack.message, nack.retryable))

    def _refused(self, nack: NackItem) -> None:
        self.refused += 1
        self.nacks.append(nack)
        if self._on_nack is None:
            self.unreported.append(nack)
            log.warning("event %r refused: %s: %s", nack.event_id, nack.code.value, nack.message)
        _tell(self._on_nack, nack)

    def report_nacks(self, session: Session | None) -> None:
        """Raise EventsRejected for what was refused since the last call, unless a callback was told."""
        nacks = list(self.unreported)
        self.unreported.clear()
        if nacks:
            raise EventsRejected(nacks, session)

    def _failed(self, error: Error) -> None:
        if self._signalled and not self._end_sent:  # about a signal: an unanswered frame would end the connection
            log.warning("the gateway reports an error: %s: %s", error.code.value, error.message)
        elif error.retryable:
            raise Lost(error.message)
        else:
            raise refusal(f"the gateway reports an error: {error.message}", error.code)

    def end(self, session: Session, stored: Mapping[str, Event], now: float) -> None:
        """Note that the session has ended, with the events `stored` of the outbox in its log. The rest stays queued."""
        self.session, self.ended = session, True
        for entry in self.outbox.take_out(stored):
            event = stored[entry.event_id]
            if same_event(event, self._event(entry)):
                self._acked(entry, event.seq, True, now)
            else:
                message = f"event {entry.event_id!r} is stored with another type or payload"
                self._refused(NackItem(entry.event_id, ErrorCode.EVENT_CONFLICT, message, False))

    def unanswered(self) -> list[EventIn]:
        """Return the events without an ack or a nack, in order."""
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
