"""The audience of one session. What it is shown is encoded once for all watchers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from turnwire.gateway.live.parties import Storing
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.watching.encoded_batch import EncodedBatch, Picture
from turnwire.protocol.messages import Event, JsonObject, Session

SLICE: Final = 100
"""Watchers that are served before others get a turn: half a millisecond to one."""
_SHORTEST_PAUSE: Final = 0.001
"""Seconds. The loop counts in milliseconds, and takes less for nothing."""
MOST_WAITING: Final = 500
"""The most events that wait for watchers to be served. With more, all watchers are served without a pause, which slows
everybody down, so that events come no faster than the watchers get them."""
MOST_SIGNALS: Final = 64
"""The most signals that wait for watchers to be served. With more, the oldest is dropped."""
_FEW: Final = 4
"""Watchers that signals are shown to without a rest."""
_MOST_PICTURES: Final = 2
"""The most pictures of the session with the same status that wait for watchers to be served."""


class Signal:
    """A signal that waits for watchers to be served."""

    __slots__ = ("key", "payload")

    def __init__(self, key: str, payload: JsonObject) -> None:
        self.key = key
        self.payload = payload


class Watcher(Protocol):
    """A watcher of a session. See `Audience` for when each method is called."""

    def offer(self, batch: EncodedBatch) -> None: ...
    def signal(self, key: str, payload: JsonObject) -> None: ...
    def session_changed(self, picture: Picture) -> None: ...
    def erased(self) -> None: ...
    def rolled_back(self, last_seq: int) -> None: ...


class Watchers:
    """The audience of one session. Watchers join and leave by `join` and `leave`.

    Events are offered to one slice of the watchers after the other, and other work gets a turn in between. Events that
    become durable meanwhile wait, and are then offered together. Signals wait in their order among the events; a newer
    one takes the place of a waiting one of its key. Changes of the session wait in their order, too, each as it was
    then; of those with the same status, the first and the newest wait. Erasures and rollbacks are told at once. A
    watcher that joins at the head meanwhile ignores what came before.

    Acks go first: while anybody waits for one, slices get half of the time. If events come faster than a large audience
    is served, it also rests after each round for as long as the round took. More events then go together into a frame,
    and a frame is what a delivery costs. It always rests after signals: their publisher waits for no answer, so that
    nothing else slows it down.
    """

    __slots__ = (
        "_batch",
        "_began",
        "_clock",
        "_is_due",
        "_rest",
        "_rests",
        "_spent",
        "_storing",
        "_waiting",
        "_was_left",
        "changes",
        "watchers",
    )

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """`clock`: seconds. The loop's clock is unsuitable, because it stands still during a pass."""
        self.watchers: dict[Watcher, None] = {}
        """In order of arrival, which is roughly that of their sockets in memory: a set makes fan-out 10 % slower."""
        self.changes = 0
        """The number of changes of the session that the audience has been told of."""
        self._clock = clock
        self._batch: EncodedBatch | list[Signal] | Picture | None = None
        self._rest: Sequence[Watcher] = ()
        """The watchers that `_batch` has not been offered to yet."""
        self._was_left = False
        """Whether one of `_rest` may have left."""
        self._waiting: list[Event | Signal | Picture] = []
        """What comes after `_batch`."""
        self._is_due = False
        """Whether the loop is about to call `_go_on`."""
        self._began: float | None = None
        """When the last slice began, if its time is still to be counted."""
        self._spent = 0.0
        """Seconds that it took to offer `_batch`, up to the last slice."""
        self._storing: Storing | None = None
        self._rests = False
        """Whether a rest is due after `_batch`: its events came while the one before was offered."""

    def remove(self, watcher: Watcher) -> None:
        """Offer nothing more to this watcher."""
        self.watchers.pop(watcher, None)
        self._was_left = True

    def advanced(self, events: Sequence[Event], storing: Storing) -> None:
        self._waiting += events
        self._storing = storing
        if not self._is_due:
            self._go_on()
        elif len(self._waiting) > MOST_WAITING:
            self._finish()

    def _go_on(self) -> None:
        """Offer events to a slice of the watchers. If more are to be served, do so after others had their turn."""
        self._is_due = False
        pause = 0.0 if self._began is None else self._pause_after(self._clock() - self._began)
        self._began = None
        if pause:
            self._go_on_later(pause)
            return
        began = self._clock()
        self._serve_slice()
        if self._rest or self._waiting or self._rests:
            self._began = began
            self._go_on_later()

    def _pause_after(self, took: float) -> float:
        """Return for how many seconds others go first after a slice that `took` so long, its frames written to the
        sockets: some loops do that at the end of a pass, and it is most of the time."""
        self._spent += took
        if self._rest:
            return took if self._storing is not None and self._storing.size > 0 else 0.0
        self._rests = False
        return self._spent

    def _go_on_later(self, pause: float = 0.0) -> None:
        self._is_due = True
        loop = asyncio.get_running_loop()
        if pause:
            loop.call_later(max(_SHORTEST_PAUSE, pause), self._go_on)
        else:
            loop.call_soon(self._go_on)

    def _serve_slice(self) -> None:
        if self._was_left:
            self._rest = [watcher for watcher in self._rest if watcher in self.watchers]
            self._was_left = False
        if not self._rest:
            if not self._waiting:
                return
            self._begin_round()
        batch = self._batch
        assert batch is not None, "a round has begun"
        count = max(1, SLICE // len(batch)) if isinstance(batch, list) else SLICE
        served, self._rest = self._rest[:count], self._rest[count:]
        for watcher in served:
            if isinstance(batch, EncodedBatch):
                watcher.offer(batch)
            elif isinstance(batch, Picture):
                watcher.session_changed(batch)
            else:
                for signal in batch:
                    watcher.signal(signal.key, signal.payload)
        if not self._rest:
            self._batch = None

    def _begin_round(self) -> None:
        """Begin with what waits: a picture of the session, or all events or all signals up to something else."""
        events: list[Event] = []
        signals: list[Signal] = []
        picture: Picture | None = None
        for each in self._waiting:
            if isinstance(each, Event) and not signals:
                events.append(each)
            elif isinstance(each, Signal) and not events:
                signals.append(each)
            else:
                picture = each if isinstance(each, Picture) and not events and not signals else None
                break
        self._waiting = self._waiting[(len(events) + len(signals)) or 1 :]
        self._batch = EncodedBatch(events) if events else picture or signals
        self._rest, self._spent = tuple(self.watchers), 0.0
        self._rests = len(self._rest) > (_FEW if signals else SLICE) and len(events) != 1

    def _finish(self) -> None:
        """Offer all that waits to all watchers, but to a large audience no signals."""
        self._spare_signals()
        while self._rest or self._waiting:
            self._serve_slice()

    def _spare_signals(self) -> None:
        """Drop the signals that wait for a large audience."""
        if len(self.watchers) > SLICE:
            self._waiting = [each for each in self._waiting if not isinstance(each, Signal)]
            if isinstance(self._batch, list):
                self._batch, self._rest = None, ()

    def signalled(self, key: str, payload: JsonObject) -> None:
        signals = [each for each in self._waiting if isinstance(each, Signal)]
        void = next((each for each in signals if each.key == key), None)
        if void is None and len(signals) >= MOST_SIGNALS:
            void = signals[0]
        if void is not None:
            self._waiting.remove(void)
        self._waiting.append(Signal(key, payload))
        if not self._is_due:
            self._go_on()

    def session_changed(self, session: Session) -> None:
        self._spare_signals()
        self.changes += 1
        pictures = [each for each in self._waiting if isinstance(each, Picture)]
        alike = [each for each in pictures if each.session.status == session.status]
        if len(alike) >= _MOST_PICTURES:
            self._waiting.remove(alike[-1])
        self._waiting.append(Picture(session, self.changes))
        if not self._is_due:
            self._go_on()

    def erased(self) -> None:
        self._batch, self._rest, self._waiting = None, (), []
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
    audience = state.audience
    if isinstance(audience, Watchers):
        audience.remove(watcher)
        if not audience.watchers:
            state.audience = None


def watchers_of(state: SessionState) -> dict[Watcher, None]:
    """Return the session's watchers; empty if there are none."""
    return state.audience.watchers if isinstance(state.audience, Watchers) else {}


def changes_of(state: SessionState) -> int:
    """Return the number of changes that the session's watchers have been told of."""
    return state.audience.changes if isinstance(state.audience, Watchers) else 0
