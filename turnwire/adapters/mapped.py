"""The results of a pure mapper: hints, and events whose ids are the same whenever the same message is mapped."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from turnwire.adapters.target import Target
from turnwire.errors import ClientError
from turnwire.protocol.messages import EventIn, EventType, JsonObject
from turnwire.protocol.times import parse_time

log = logging.getLogger("turnwire")


class Hint(msgspec.Struct, frozen=True):
    """An ephemeral message for `Publisher.hint`, not to be stored."""

    key: str
    payload: JsonObject


Mapped = EventIn | Hint


def deliver(call: Target, items: Iterable[Mapped]) -> None:
    """Pass the results of a mapper to a publisher, without waiting. What it refuses is logged: the call goes on."""
    for item in items:
        try:
            _deliver(call, item)
        except ClientError as error:
            log.warning("an event was not queued: %s", error)


def _deliver(call: Target, item: Mapped) -> None:
    if isinstance(item, Hint):
        call.hint(item.key, item.payload)
    else:
        call.post(item.type, item.payload, event_id=item.event_id, timestamp=item.timestamp)


def stable_id(*parts: object) -> str:
    """Derive an event id from the event's content: the same parts give the same id in any process.

    1 and 1.0 count as the same number: an SDK may turn a vendor's integer into a float.
    """
    plain = [int(part) if isinstance(part, float) and part.is_integer() else part for part in parts]
    text = msgspec.json.encode(plain, order="deterministic")
    return hashlib.blake2b(text, digest_size=12).hexdigest()


class Collected:
    """A target that collects events and hints, for a mapper to return."""

    def __init__(self) -> None:
        self._items: list[Mapped] = []
        self._stumbled = False

    def of(self, step: Callable[..., None], *arguments: Any) -> list[Mapped]:
        """Run a mapper's step, and return what it posts.

        A message that it cannot read is logged and passed over: whatever a vendor sends, the call goes on.
        """
        try:
            step(*arguments)
        except Exception:
            level = logging.DEBUG if self._stumbled else logging.ERROR
            log.log(level, "a message was not recorded, or not all of it: %.300r", arguments[0], exc_info=True)
            self._stumbled = True
        return self.take()

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
        """Return what was collected since the last call."""
        items, self._items = self._items, []
        return items


def moment(seconds: float) -> datetime:
    """Return a Unix time as the timestamp of an event."""
    return datetime.fromtimestamp(seconds, UTC)
