"""The audience of one session. Each batch of events is encoded once for all watchers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.watching.encoded_batch import EncodedBatch
from turnwire.protocol.messages import Event, JsonObject

SLICE: Final = 1000
"""Watchers that are served before others get a turn: about five milliseconds.

Smaller slices make no ack faster, and cost a fifth of a delivery, because fewer events go together into a frame.
"""
MOST_WAITING: Final = 500
"""Events that wait for watchers to be served. Beyond, all watchers are served without a pause, which slows everybody
down: the events cannot come faster than the watchers get them."""


class Watcher(Protocol):
    """One watcher of a session. See `Audience` for when each method is called."""

    def offer(self, batch: EncodedBatch) -> None: ...
    def signal(self, key: str, payload: JsonObject) -> None: ...
    def session_changed(self) -> None: ...
    def erased(self) -> None: ...
    def rolled_back(self, last_seq: int) -> None: ...


class Watchers:
    """The audience of one session. Watchers come and leave by `join` and `leave`.

    Events are offered to a slice of the watchers after the other, and other work gets a turn in between. Events that
    become durable meanwhile wait, and are then offered together. Whatever else there is to tell is told at once, after
    all events before it. A watcher that joins at the head meanwhile leaves what it is offered up to there.
    """

    __slots__ = ("_batch", "_is_due", "_rest", "_waiting", "watchers")

    def __init__(self) -> None:
        self.watchers: dict[Watcher, None] = {}
        """In order of arrival, which is roughly that of their sockets in memory: a set makes fan-out 10 % slower."""
        self._batch: EncodedBatch | None = None
        self._rest: Sequence[Watcher] = ()
        """Those whom `_batch` has not been offered yet."""
        self._waiting: list[Event] = []
        """The events after `_batch`."""
        self._is_due = False
        """Whether the loop is about to call `_go_on`."""

    def advanced(self, events: Sequence[Event]) -> None:
        self._waiting += events
        if not self._is_due:
            self._go_on()
        elif len(self._waiting) > MOST_WAITING:
            self._finish()

    def _go_on(self) -> None:
        """Offer events to a slice of the watchers. If more are to be served, do so after others had their turn."""
        self._is_due = False
        self._serve_slice()
        if self._rest or self._waiting:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _serve_slice(self) -> None:
        if not self._rest and self._waiting:
            self._batch, self._rest, self._waiting = EncodedBatch(self._waiting), tuple(self.watchers), []
        served, self._rest = self._rest[:SLICE], self._rest[SLICE:]
        for watcher in served:
            if watcher in self.watchers and self._batch is not None:
                watcher.offer(self._batch)

    def _finish(self) -> None:
        """Offer all events that wait to all watchers."""
        while self._rest or self._waiting:
            self._serve_slice()

    def signalled(self, key: str, payload: JsonObject) -> None:
        self._finish()
        for watcher in tuple(self.watchers):
            watcher.signal(key, payload)

    def session_changed(self) -> None:
        self._finish()
        for watcher in tuple(self.watchers):
            watcher.session_changed()

    def erased(self) -> None:
        self._rest, self._waiting = (), []
        for watcher in tuple(self.watchers):
            watcher.erased()

    def rolled_back(self, last_seq: int) -> None:
        self._finish()
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
