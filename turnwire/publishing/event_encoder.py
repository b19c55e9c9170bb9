"""Encoding a bot's events and signals: ids, times, and the checks that need no gateway."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import get_args

from turnwire.errors import InvalidEvent
from turnwire.protocol.codec import Codec
from turnwire.protocol.messages import EventType, JsonObject, Shape, Signal
from turnwire.protocol.salvage import UNDECODABLE
from turnwire.protocol.times import format_time, parse_time, to_utc
from turnwire.protocol.values import object_fault
from turnwire.publishing.delivery import EventLimits
from turnwire.publishing.outbox import Entry

MAX_KEY = 256


class _EventOut(Shape):
    event_id: str
    type: EventType
    payload: JsonObject
    timestamp: str


class EventEncoder:
    """The maker of one publisher's outbox entries, within the gateway's limits. Methods raise InvalidEvent."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._last_stamp = datetime.min.replace(tzinfo=UTC)

    def entry(
        self,
        type: EventType,
        payload: JsonObject,
        event_id: str | None,
        timestamp: datetime | str | None,
        limits: EventLimits,
    ) -> Entry:
        """Return the encoded event. A missing id or time is set here, once, so that every sending is the same."""
        if type not in get_args(EventType):
            raise InvalidEvent(f"the type of an event must be one of {', '.join(get_args(EventType))}, not {type!r}")
        if event_id is None:
            event_id = str(uuid.uuid4())
        elif not _is_text(event_id):
            raise InvalidEvent(f"the id of an event must be a non-empty string, not {event_id!r}")
        event = _EventOut(event_id, type, payload, self._stamp(timestamp))
        return Entry(event_id, self._encoded(event, payload, limits))

    def signal(self, key: str, payload: JsonObject, limits: EventLimits) -> bytes:
        """Return the encoded payload of a signal, so that later changes of the payload have no effect."""
        if not _is_text(key) or len(key) > MAX_KEY:
            raise InvalidEvent(f"the key of a signal must be a string of 1 to {MAX_KEY} characters")
        self._encoded(Signal(key, payload), payload, limits)
        return self._codec.encode_value(payload)

    def _stamp(self, timestamp: datetime | str | None) -> str:
        """Return the wire time. A time taken from the clock never goes back, even if the clock does."""
        if timestamp is None:
            self._last_stamp = max(self._last_stamp, datetime.now(UTC))
            return format_time(self._last_stamp)
        if not isinstance(timestamp, datetime | str):
            raise InvalidEvent(f"a timestamp must be a datetime or an ISO-8601 string, not {timestamp!r}")
        try:
            moment = parse_time(timestamp) if isinstance(timestamp, str) else timestamp
            if moment.tzinfo is None:
                raise ValueError("it has no UTC offset")
            return format_time(to_utc(moment))
        except (ValueError, OverflowError) as error:
            raise InvalidEvent(f"the timestamp {timestamp!r} cannot be used: {error}") from None

    def _encoded(self, message: Shape, payload: JsonObject, limits: EventLimits) -> bytes:
        if type(payload) is not dict:
            raise InvalidEvent(f"the payload must be a dict, not {type(payload).__name__}")
        fault = object_fault(payload, limits.depth)
        if fault is not None:
            raise InvalidEvent(f"payload{fault}")
        try:
            data = self._codec.encode(message)
        except UNDECODABLE as error:
            raise InvalidEvent(f"cannot be encoded: {error}") from None
        if len(data) > limits.event_bytes:
            raise InvalidEvent(f"{len(data)} bytes exceed the gateway's limit of {limits.event_bytes}")
        return data


def _is_text(value: object) -> bool:
    """Return whether a value is a non-empty text; callers may not check their types."""
    return isinstance(value, str) and value != ""
