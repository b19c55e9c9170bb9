"""Tells the subscriber who asked for a command how far it is, until it has come to its end."""

from __future__ import annotations

from collections.abc import Callable

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.watching.audience import join, leave
from turnwire.gateway.watching.event_batch import EventBatch
from turnwire.gateway.watching.subscription import Watching
from turnwire.protocol.control.commands import Outcome, control_of
from turnwire.protocol.messages import JsonObject


class CommandWatch:
    """Watches the session from the moment it is made, so that nothing is missed; tells from `start` on, in order."""

    __slots__ = ("_command_id", "_ended", "_heard", "_started", "_state", "_tell", "_watching")

    def __init__(
        self,
        watching: Watching,
        state: SessionState,
        command_id: str,
        *,
        tell: Callable[[Outcome], None],
        ended: Callable[[CommandWatch], None],
    ) -> None:
        """`ended` is called once, after the last outcome has been told, unless it is closed before."""
        self._watching = watching
        self._state = state
        self._command_id = command_id
        self._tell = tell
        self._ended = ended
        self._heard: list[Outcome] = []
        self._started = False
        join(state, self)
        watching.watch_changed(state)

    def start(self, outcome: Outcome) -> None:
        """Tell this, and what comes after it."""
        self._started = True
        self._say(outcome)
        if not outcome.final:
            for each in self._heard:
                if each.state != outcome.state:
                    self._say(each)

    def offer(self, batch: EventBatch) -> None:
        for event in batch.events:
            if event.type == "system":
                control = control_of(event)
                if isinstance(control, Outcome) and control.command_id == self._command_id:
                    self._hear(control)

    def _hear(self, outcome: Outcome) -> None:
        if self._started:
            self._say(outcome)
        else:
            self._heard.append(outcome)

    def _say(self, outcome: Outcome) -> None:
        self._tell(outcome)
        if outcome.final:
            self.close()
            self._ended(self)

    def close(self) -> None:
        """Watch no more."""
        leave(self._state, self)
        self._watching.watch_changed(self._state)
        self._state.last_used = self._watching.clock()

    def erased(self) -> None:
        """The session is no more, and with it the command."""
        self.close()
        self._ended(self)

    # What it does not tell of

    def signal(self, key: str, payload: JsonObject) -> None: ...
    def session_changed(self) -> None: ...
    def rolled_back(self, last_seq: int) -> None: ...
