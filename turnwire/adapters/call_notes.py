"""Recording a call as events: times from its start, payloads without nulls, and no exception into the bot."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from turnwire.adapters.storable import fields
from turnwire.adapters.target import Target
from turnwire.errors import ClientError
from turnwire.protocol.messages import EventType, JsonObject

log = logging.getLogger("turnwire")

Side = Literal["user", "bot"]
State = Literal["speaking", "listening", "thinking", "idle", "away"]


class CallNotes:
    """The events of one call. Arguments are in seconds of `clock`, payloads in milliseconds of the call."""

    def __init__(self, target: Target, *, clock: Callable[[], float] = time.time, began: float | None = None) -> None:
        self._target = target
        self._clock = clock
        self.began = clock() if began is None else began
        self._states: dict[Side, State] = {}
        self._has_warned = False

    def now(self) -> float:
        return self._clock()

    def ms(self, at: float | None) -> int | None:
        """Return milliseconds from the start of the call; never negative."""
        return None if at is None else max(0, round((at - self.began) * 1000))

    def note(
        self, event: str, *, event_id: str | None = None, timestamp: datetime | str | None = None, **facts: Any
    ) -> None:
        """Post a `system` event."""
        self._post("system", fields(event=event, **facts), event_id, timestamp)

    def said(
        self,
        side: Side,
        text: str,
        *,
        turn: int | None = None,
        started: float | None = None,
        ended: float | None = None,
        event_id: str | None = None,
        timestamp: datetime | str | None = None,
        **facts: Any,
    ) -> None:
        """Post an utterance that is over. `started` and `ended` are in seconds of the clock."""
        payload = fields(text=text, turn=turn, startedMs=self.ms(started), endedMs=self.ms(ended), **facts)
        self._post("user_speech" if side == "user" else "bot_speech", payload, event_id, timestamp)

    def heard_so_far(self, side: Side, text: str, *, turn: int | None = None) -> None:
        """Send an interim text to the current subscribers."""
        key = "user_speech" if side == "user" else "bot_speech"
        try:
            self._target.hint(key, fields(text=text, turn=turn, final=False))
        except ClientError as error:
            log.debug("a hint was not sent: %s", error)

    def state(self, side: Side, state: State, *, event_id: str | None = None) -> None:
        """Post what a side is doing, if it has changed."""
        if self._states.get(side) != state:
            self._states[side] = state
            self.note(f"{side}.state", event_id=event_id, state=state)

    def _post(
        self, type: EventType, payload: JsonObject, event_id: str | None, timestamp: datetime | str | None
    ) -> None:
        try:
            self._target.post(type, payload, event_id=event_id, timestamp=timestamp)
        except ClientError as error:  # the call itself goes on
            log.log(logging.DEBUG if self._has_warned else logging.WARNING, "an event was not queued: %s", error)
            self._has_warned = True
