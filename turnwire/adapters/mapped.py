"""What a pure mapper returns: events with ids that are the same whenever the same message is mapped, and hints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from turnwire.adapters.target import Target
from turnwire.protocol.messages import EventIn, EventType, JsonObject
from turnwire.protocol.times import parse_time


class Hint(msgspec.Struct, frozen=True):
    """An ephemeral message: for `Publisher.hint`; there is nothing to store."""

    key: str
    payload: JsonObject


Mapped = EventIn | Hint


def deliver(call: Target, items: Iterable[Mapped]) -> None:
    """Hand what a mapper returned to a publisher. Never waits."""
    for item in items:
        if isinstance(item, Hint):
            call.hint(item.key, item.payload)
        else:
            call.post(item.type, item.payload, event_id=item.event_id, timestamp=item.timestamp)


def stable_id(*parts: object) -> str:
    """An event id made of what the event says: the same parts give the same id, in any process.

    A number is the same whether it was read as 1 or as 1.0: an SDK may make a float of a vendor's integer.
    """
    plain = [int(part) if isinstance(part, float) and part.is_integer() else part for part in parts]
    text = msgspec.json.encode(plain, order="deterministic")
    return hashlib.blake2b(text, digest_size=12).hexdigest()


class Collected:
    """A target that keeps what it is given as `Mapped` items, for a mapper to return."""

    def __init__(self) -> None:
        self._items: list[Mapped] = []

    def post(
        self,
        type: EventType,
        payload: JsonObject,
        *,
        event_id: str | None = None,
        timestamp: datetime | str | None = None,
    ) -> str:
        event_id = event_id or stable_id(type, payload, timestamp)
        moment = parse_time(timestamp) if isinstance(timestamp, str) else timestamp
        self._items.append(EventIn(event_id, type, payload, moment))
        return event_id

    def hint(self, key: str, payload: JsonObject) -> None:
        self._items.append(Hint(key, payload))

    def take(self) -> list[Mapped]:
        """What was collected since the last time."""
        items, self._items = self._items, []
        return items


def moment(seconds: float) -> datetime:
    """A Unix time as the timestamp of an event."""
    return datetime.fromtimestamp(seconds, UTC)
