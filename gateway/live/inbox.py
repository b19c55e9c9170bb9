"""What waits for a live session's task, in the order it came."""

from __future__ import annotations

from collections import deque

from turnwire.gateway.live.items import AppendItem, Item, SignalItem

MAX_ROUND_EVENTS = 500
"""Events a session hands to the store at once, unless a single append has more."""
MAX_ROUND_BYTES = 1024 * 1024
MAX_SIGNAL_KEYS = 64
"""Signals of different keys that may wait in one session; the oldest gives way."""


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
        elif isinstance(item, AppendItem):
            self.waiting += len(item.events)
        self._items.append(item)

    def take(self) -> Item | list[AppendItem]:
        """The next item, or all appends up to the next item of another kind, within the bounds of a round."""
        item = self._items.popleft()
        if isinstance(item, SignalItem):
            del self._signals[item.key]
        if not isinstance(item, AppendItem):
            return item
        appends, events, weight = [item], len(item.events), item.weight
        while self._items and isinstance(following := self._items[0], AppendItem):
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
