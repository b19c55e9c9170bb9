"""Reports the outcomes of one command to the subscriber that requested it, up to the final one."""

from __future__ import annotations

from collections.abc import Callable

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.watching.audience import join, leave
from turnwire.gateway.watching.encoded_batch import EncodedBatch, Picture
from turnwire.gateway.watching.subscription import Watching
from turnwire.protocol.control.commands import Outcome, control_of
from turnwire.protocol.messages import JsonObject


class CommandWatch:
    """A watcher of one command. Collects outcomes from its creation on, and reports them in order from `start` on."""

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
        """`tell` is called with each outcome; `ended` once, after the final one, unless the watch is closed before."""
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
        """Report this outcome, then those that have come since, and report further ones as they come."""
        self._started = True
        self._say(outcome)
        if not outcome.final:
            for each in self._heard:
                if each.state != outcome.state:
                    self._say(each)

    def offer(self, batch: EncodedBatch) -> None:
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
        """Stop watching."""
        leave(self._state, self)
        self._watching.watch_changed(self._state)
        self._state.last_used = self._watching.clock()

    def erased(self) -> None:
        """End the watch: the session has been erased, and the command with it."""
        self.close()
        self._ended(self)

    # Of no interest to a command

    def signal(self, key: str, payload: JsonObject) -> None: ...
    def session_changed(self, picture: Picture) -> None: ...
    def rolled_back(self, last_seq: int) -> None: ...
