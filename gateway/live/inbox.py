"""What waits for a live session's task: appends, signals, claims and ends, in the order they came."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from turnwire.protocol.messages import BadEvent, Event, EventIn, FinalStatus, JsonObject, Opened, Session
from turnwire.store.sessions import SessionRecord

if TYPE_CHECKING:
    from turnwire.gateway.sockets.publisher import PublisherConnection

MAX_ROUND_EVENTS = 500
"""Events a session hands to the store at once, unless a single append has more."""
MAX_ROUND_BYTES = 1024 * 1024
MAX_SIGNAL_KEYS = 64
"""Signals of different keys that may wait in one session; the oldest gives way."""


class Stored(Struct, frozen=True):
    """The answer to one event of a REST append: the event as first stored, and whether it was there before."""

    event: Event
    duplicate: bool


class Append(Struct, eq=False):
    """Events of one sender, in order."""

    events: Sequence[EventIn | BadEvent]
    weight: int
    """Bytes, as received."""
    received_at: datetime
    publisher: PublisherConnection | None = None
    done: asyncio.Future[list[Stored]] | None = None
    """Settled for REST, which has no publisher."""
    taken_at: float = 0.0
    """When it was read from its publisher's socket, on the loop's clock."""


class SignalItem(Struct, eq=False):
    publisher: PublisherConnection
    key: str
    payload: JsonObject


class End(Struct, eq=False):
    """Complete the session."""

    status: FinalStatus
    reason: str | None
    publisher: PublisherConnection | None = None
    done: asyncio.Future[tuple[Session, bool]] | None = None
    """The session, and whether it was this that ended it."""


class Claim(Struct, eq=False):
    """A publisher wants the session. The answer is its first message."""

    publisher: PublisherConnection
    done: asyncio.Future[Opened]
    created: bool = False
    """Whether the session was created for this publisher, with the epoch raised to 1 for it."""


class Abandon(Struct, eq=False):
    """End the session if really nobody is there any more."""


class Renew(Struct, eq=False):
    """Somebody else has changed the session: this is how it stands in the store."""

    stored: SessionRecord
    done: asyncio.Future[None] | None = None
    """Settled when we are as far."""


Item = Append | SignalItem | End | Claim | Abandon | Renew


class Inbox:
    """The items in order. Bounded by the senders: a publisher stops reading, REST asks `waiting` first."""

    __slots__ = ("_items", "_signals", "waiting")

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._signals: dict[str, SignalItem] = {}
        self.waiting = 0
        """Events in it."""

    def __bool__(self) -> bool:
        return bool(self._items)

    def put(self, item: Item) -> None:
        if isinstance(item, SignalItem):
            older = self._signals.pop(item.key, None)
            if older is None and len(self._signals) >= MAX_SIGNAL_KEYS:
                older = self._signals.pop(next(iter(self._signals)))
            if older is not None:
                self._items.remove(older)
            self._signals[item.key] = item
        elif isinstance(item, Append):
            self.waiting += len(item.events)
        self._items.append(item)

    def take(self) -> Item | list[Append]:
        """The next item, or all appends up to the next item of another kind, within the bounds of a round."""
        item = self._items.popleft()
        if isinstance(item, SignalItem):
            del self._signals[item.key]
        if not isinstance(item, Append):
            return item
        appends, events, weight = [item], len(item.events), item.weight
        while self._items and isinstance(following := self._items[0], Append):
            events += len(following.events)
            weight += following.weight
            if events > MAX_ROUND_EVENTS or weight > MAX_ROUND_BYTES:
                break
            self._items.popleft()
            appends.append(following)
        self.waiting -= sum(len(append.events) for append in appends)
        return appends

    def clear(self) -> list[Item]:
        """Take all there is."""
        items = list(self._items)
        self._items.clear()
        self._signals.clear()
        self.waiting = 0
        return items
