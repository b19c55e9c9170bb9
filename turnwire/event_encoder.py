"""From what a bot says to what goes on the wire: ids, times, and the checks that need no gateway."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import get_args

from turnwire.errors import InvalidEvent
from turnwire.outbox import Entry
from turnwire.protocol.codec import Codec
from turnwire.protocol.messages import EventType, JsonObject, Shape, Signal
from turnwire.protocol.rules import object_fault
from turnwire.protocol.times import format_time, parse_time, to_utc

MAX_KEY = 256
DEEPEST = 200
"""Deeper than any gateway allows; the limit itself is the gateway's to apply."""


class _EventOut(Shape):
    event_id: str
    type: EventType
    payload: JsonObject
    timestamp: str


class EventEncoder:
    """Makes the entries of one publisher's outbox. Its methods raise InvalidEvent; `max_bytes` is None when unknown."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._last_stamp = datetime.min.replace(tzinfo=UTC)

    def entry(
        self,
        type: EventType,
        payload: JsonObject,
        event_id: str | None,
        timestamp: datetime | str | None,
        max_bytes: int | None,
    ) -> Entry:
        """The event, encoded. What is not given is made here, once: every sending of it is the same."""
        if type not in get_args(EventType):
            raise InvalidEvent(f"the type of an event is one of {', '.join(get_args(EventType))}, not {type!r}")
        if event_id == "":
            raise InvalidEvent("the id of an event must not be empty")
        event_id = event_id or str(uuid.uuid4())
        event = _EventOut(event_id, type, payload, self._stamp(timestamp))
        return Entry(event_id, self._encoded(event, payload, max_bytes))

    def check_signal(self, key: str, payload: JsonObject, max_bytes: int | None) -> None:
        if not 1 <= len(key) <= MAX_KEY:
            raise InvalidEvent(f"the key of a signal must have 1 to {MAX_KEY} characters")
        self._encoded(Signal(key, payload), payload, max_bytes)

    def _stamp(self, timestamp: datetime | str | None) -> str:
        """The time on the wire. Our own never goes back, whatever the clock does."""
        if timestamp is None:
            self._last_stamp = max(self._last_stamp, datetime.now(UTC))
            return format_time(self._last_stamp)
        try:
            moment = parse_time(timestamp) if isinstance(timestamp, str) else timestamp
            if moment.tzinfo is None:
                raise ValueError("it has no UTC offset")
            return format_time(to_utc(moment))
        except (ValueError, OverflowError) as error:
            raise InvalidEvent(f"the timestamp {timestamp!r} cannot be used: {error}") from None

    def _encoded(self, message: Shape, payload: JsonObject, max_bytes: int | None) -> bytes:
        fault = object_fault(payload, DEEPEST)
        if fault is not None:
            raise InvalidEvent(f"payload{fault}")
        try:
            data = self._codec.encode(message)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidEvent(f"cannot be encoded: {error}") from None
        if max_bytes is not None and len(data) > max_bytes:
            raise InvalidEvent(f"{len(data)} bytes are over the gateway's limit of {max_bytes}")
        return data
