"""All who watch one session: each batch of events is encoded once for them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.watching.event_batch import EventBatch
from turnwire.protocol.messages import Event, JsonObject


class Watcher(Protocol):
    """Someone who watches the session."""

    def offer(self, batch: EventBatch) -> None: ...
    def signal(self, key: str, payload: JsonObject) -> None: ...
    def session_changed(self) -> None: ...
    def erased(self) -> None: ...
    def rolled_back(self, last_seq: int) -> None: ...


class Watchers:
    """The audience of one session. Watchers come and leave by `join` and `leave`."""

    __slots__ = ("watchers",)

    def __init__(self) -> None:
        self.watchers: dict[Watcher, None] = {}
        """In the order they came, which is roughly that of their sockets in memory: a set costs a tenth more."""

    def advanced(self, events: Sequence[Event]) -> None:
        batch = EventBatch(events)
        for watcher in tuple(self.watchers):
            watcher.offer(batch)

    def signalled(self, key: str, payload: JsonObject) -> None:
        for watcher in tuple(self.watchers):
            watcher.signal(key, payload)

    def session_changed(self) -> None:
        for watcher in tuple(self.watchers):
            watcher.session_changed()

    def erased(self) -> None:
        for watcher in tuple(self.watchers):
            watcher.erased()

    def rolled_back(self, last_seq: int) -> None:
        for watcher in tuple(self.watchers):
            watcher.rolled_back(last_seq)


def join(state: SessionState, watcher: Watcher) -> None:
    """Watch the session from now on."""
    if state.audience is None:
        state.audience = Watchers()
    watchers_of(state)[watcher] = None


def leave(state: SessionState, watcher: Watcher) -> None:
    """Watch the session no more."""
    watchers = watchers_of(state)
    watchers.pop(watcher, None)
    if not watchers:
        state.audience = None


def watchers_of(state: SessionState) -> dict[Watcher, None]:
    """Those who watch the session; empty when nobody does."""
    return state.audience.watchers if isinstance(state.audience, Watchers) else {}
