"""The inbox: items that wait for a live session's task, in order of arrival."""

from __future__ import annotations

from collections import deque

from turnwire.gateway.live.items import AppendItem, Item, SignalItem, is_answered
from turnwire.protocol.errors import Overloaded

MAX_ROUND_EVENTS = 500
"""Events that a session hands to the store at once. A single append may have more."""
MAX_ROUND_BYTES = 1024 * 1024
MAX_SIGNAL_KEYS = 64
"""Signals with different keys that may wait in one session. When full, the oldest is dropped."""
MAX_OTHERS = 256
"""Items other than events and signals that may wait in one session."""


class Inbox:
    """A session's items, in order of arrival.

    Events are bounded by their senders: a publisher stops reading its socket, REST checks `waiting` first.
    """

    __slots__ = ("_items", "_others", "_signals", "waiting", "waiting_bytes")

    def __init__(self) -> None:
        self._items: deque[Item] | None = None
        """None while nothing waits: an empty deque takes 760 bytes, and most sessions are idle most of the time."""
        self._signals: dict[str, SignalItem] | None = None
        """The signals among the items, by their keys; None while there are none."""
        self.waiting = 0
        """Events in the inbox."""
        self.waiting_bytes = 0
        """Bytes of these events, as received from their senders."""
        self._others = 0
        """Items in the inbox that are neither events nor signals."""

    def __bool__(self) -> bool:
        return bool(self._items)

    def put(self, item: Item) -> None:
        if isinstance(item, SignalItem):
            self._replace(item)
        elif isinstance(item, AppendItem):
            self.waiting += len(item.events)
            self.waiting_bytes += item.weight
        else:
            self._make_room()
            self._others += 1
        if self._items is None:
            self._items = deque()
        self._items.append(item)

    def _replace(self, item: SignalItem) -> None:
        """Keep the signal as the newest of its key, and drop the older one."""
        if self._signals is None:
            self._signals = {}
        older = self._signals.pop(item.key, None)
        if older is None and len(self._signals) >= MAX_SIGNAL_KEYS:
            older = self._signals.pop(next(iter(self._signals)))
        if older is not None and self._items is not None:
            self._items.remove(older)
        self._signals[item.key] = item

    def _make_room(self) -> None:
        """Drop the items whose answer nobody waits for, if the inbox is full. Raises Overloaded if it stays full."""
        if self._others < MAX_OTHERS or self._items is None:
            return
        self._items = deque(item for item in self._items if not _is_dead(item))
        self._others = sum(not isinstance(item, AppendItem | SignalItem) for item in self._items)
        if self._others >= MAX_OTHERS:
            raise Overloaded("too many requests wait for this session; try again")

    def take(self) -> Item | list[AppendItem]:
        """Remove and return the next item, or all appends before the next other item, within the bounds of a round.

        An append with a condition is a round of its own: it depends on what the one before it stores. Raises IndexError
        if there is none.
        """
        if self._items is None:
            raise IndexError("nothing waits")
        taken = self._take(self._items)
        if not self._items:
            self._items = self._signals = None
        return taken

    def _take(self, items: deque[Item]) -> Item | list[AppendItem]:
        item = items.popleft()
        if isinstance(item, SignalItem):
            if self._signals is not None:
                del self._signals[item.key]
            return item
        if not isinstance(item, AppendItem):
            self._others -= 1
            return item
        appends, events, weight = [item], len(item.events), item.weight
        while items and isinstance(following := items[0], AppendItem):
            more, heavier = events + len(following.events), weight + following.weight
            if more > MAX_ROUND_EVENTS or heavier > MAX_ROUND_BYTES or item.condition or following.condition:
                break
            events, weight = more, heavier
            items.popleft()
            appends.append(following)
        self.waiting -= events
        self.waiting_bytes -= weight
        return appends

    def clear(self) -> list[Item]:
        """Remove and return all items."""
        items = list(self._items or ())
        self._items = self._signals = None
        self.waiting = self.waiting_bytes = self._others = 0
        return items


def _is_dead(item: Item) -> bool:
    """Return whether nobody waits for the item's answer. Appends count as waited for: their weight must be released."""
    return not isinstance(item, AppendItem | SignalItem) and is_answered(getattr(item, "done", None))
