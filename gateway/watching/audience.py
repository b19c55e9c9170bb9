"""The audience of one session. Each batch of events is encoded once for all watchers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.watching.encoded_batch import EncodedBatch
from turnwire.protocol.messages import Event, JsonObject


class Watcher(Protocol):
    """One watcher of a session. See `Audience` for when each method is called."""

    def offer(self, batch: EncodedBatch) -> None: ...
    def signal(self, key: str, payload: JsonObject) -> None: ...
    def session_changed(self) -> None: ...
    def erased(self) -> None: ...
    def rolled_back(self, last_seq: int) -> None: ...


class Watchers:
    """The audience of one session. Watchers come and leave by `join` and `leave`."""

    __slots__ = ("watchers",)

    def __init__(self) -> None:
        self.watchers: dict[Watcher, None] = {}
        """In order of arrival, which is roughly that of their sockets in memory: a set makes fan-out 10 % slower."""

    def advanced(self, events: Sequence[Event]) -> None:
        batch = EncodedBatch(events)
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
    """Stop watching the session."""
    watchers = watchers_of(state)
    watchers.pop(watcher, None)
    if not watchers:
        state.audience = None


def watchers_of(state: SessionState) -> dict[Watcher, None]:
    """Return the session's watchers; empty if there are none."""
    return state.audience.watchers if isinstance(state.audience, Watchers) else {}
