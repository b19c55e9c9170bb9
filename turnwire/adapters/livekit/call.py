"""Mapping one AgentSession's events to notes of a call. Needs no LiveKit code, only the fields of its events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from turnwire.adapters.call_notes import CallNotes, State
from turnwire.adapters.livekit.figures import stages, usage_of
from turnwire.adapters.livekit.tools import LiveKitTools
from turnwire.adapters.turn_counter import TurnCounter
from turnwire.protocol.messages import FinalStatus

AGENT_STATES: dict[str, State] = {
    "idle": "idle",
    "listening": "listening",
    "thinking": "thinking",
    "speaking": "speaking",
}
"""`initializing` is left out, because it sounds like silence."""


class LiveKitCall:
    """The handlers of an AgentSession's events, all plain functions: LiveKit accepts no coroutines."""

    def __init__(self, notes: CallNotes, *, is_closing: Callable[[], bool], has_word_times: Callable[[], bool]) -> None:
        self._notes = notes
        self._is_closing = is_closing
        self._has_word_times = has_word_times
        self._turns = TurnCounter()
        self._tools = LiveKitTools(notes)
        self._user_state = "listening"
        self._bot_turn = 0
        self._is_speaking = False
        self._unanswered: dict[str, Any] = {}
        self._transcripts: list[str] = []
        self._language: str | None = None
        self._speaker: str | None = None
        self._usage: list[Any] = []
        self._reason: str | None = None
        self._failed = False
        self._over = False
        self._words_were_synchronized = False
        self._supervisor_cuts = False
        self._ended_for: str | None = None

    def supervisor_cuts_in(self) -> None:
        """Note that the bot's current speech is cut short for a supervisor."""
        self._supervisor_cuts = self._is_speaking

    def supervisor_ends(self, reason: str) -> None:
        """Note that the session is about to close because a supervisor has ended the call."""
        self._ended_for = reason

    def handlers(self) -> dict[str, Callable[[Any], None]]:
        """Return the handlers, by the name of their event."""
        return {
            "user_state_changed": self.user_state,
            "agent_state_changed": self.agent_state,
            "user_input_transcribed": self.transcribed,
            "conversation_item_added": self.item_added,
            "tool_execution_updated": self._tools.updated,
            "agent_false_interruption": self.false_interruption,
            "session_usage_updated": self.used,
            "error": self.error,
            "close": self.closed,
        }

    def user_state(self, event: Any) -> None:
        self._user_state = event.new_state
        if event.new_state == "speaking":
            self._turns.user_begins()
        self._notes.state("user", event.new_state)

    def agent_state(self, event: Any) -> None:
        state = AGENT_STATES.get(event.new_state)
        self._is_speaking = state == "speaking"
        if self._is_speaking:
            self._bot_turn = self._turns.current
            self._supervisor_cuts = False
        if state is not None:
            self._notes.state("bot", state)

    def transcribed(self, event: Any) -> None:
        self._language = str(event.language) if event.language else self._language
        self._speaker = event.speaker_id or self._speaker
        self._notes.heard_so_far("user", " ".join([*self._transcripts, event.transcript]))
        if event.is_final:
            self._transcripts.append(event.transcript)

    def item_added(self, event: Any) -> None:
        item = event.item
        if item.type == "agent_handoff":
            if item.old_agent_id is not None:  # the first agent of the session has no predecessor
                self._notes.note("handoff", **{"from": item.old_agent_id}, to=item.new_agent_id)
        elif item.type == "message" and item.role == "user":
            self._user_said(item)
        elif item.type == "message" and item.role == "assistant":
            self._bot_said(item)

    def playback_finished(self, event: Any) -> None:
        """Handle PlaybackFinishedEvent: note whether the audio output reported how much of the text was played."""
        self._words_were_synchronized = event.synchronized_transcript is not None

    def false_interruption(self, event: Any) -> None:
        self._notes.note("interruption.false", resumed=event.resumed)

    def key_pressed(self, event: Any) -> None:
        """Handle the room's SipDTMF."""
        self._notes.note("dtmf", by="user", digits=str(event.digit))

    def used(self, event: Any) -> None:
        """Keep the last usage event, which is cumulative."""
        self._usage = list(event.usage.model_usage)

    def error(self, event: Any) -> None:
        error = event.error
        cause = getattr(error, "error", error)
        self._notes.note(
            "error",
            message=str(cause) or type(cause).__name__,
            code=getattr(error, "type", None),
            source=getattr(error, "label", None),
            recoverable=getattr(error, "recoverable", None),
        )

    def closed(self, event: Any) -> None:
        self._reason = str(getattr(event.reason, "value", event.reason))
        self._failed = event.error is not None or self._reason == "error"

    def finish(self, at: float, job_reason: str = "") -> tuple[FinalStatus, str]:
        """Post everything that is still open. Return the status and the reason of the end."""
        status: FinalStatus = "failed" if self._failed else "completed"
        reason = (self._ended_for or self._reason or job_reason or "ended")[:256]
        if not self._over:
            self._over = True
            if self._transcripts:
                self._notes.said("user", " ".join(self._transcripts), turn=self._turns.user_has_said())
            self._tools.call_over(at)
            for record in self._usage:
                facts = usage_of(record)
                if facts is not None:
                    self._notes.note("usage", **facts)
            self._notes.note("call.ended", reason=reason)
        return status, reason

    def _user_said(self, message: Any) -> None:
        text = (message.text_content or "").strip()
        self._transcripts.clear()
        self._unanswered = dict(message.metrics)
        if text:
            self._notes.said(
                "user",
                text,
                turn=self._turns.user_has_said(),
                started=message.metrics.get("started_speaking_at"),
                ended=message.metrics.get("stopped_speaking_at"),
                language=self._language,
                speaker=self._speaker,
                confidence=message.transcript_confidence,
                event_id=message.id,
            )

    def _bot_said(self, message: Any) -> None:
        text = (message.text_content or "").strip()
        if not text:
            return
        started = message.metrics.get("started_speaking_at")
        ended = message.metrics.get("stopped_speaking_at")
        turn = self._bot_turn if started is not None else self._turns.current
        cut = self._cut() if message.interrupted else {}
        self._notes.said("bot", text, turn=turn, started=started, ended=ended, event_id=message.id, **cut)
        if cut.get("cutBy") in {"user", "supervisor"}:
            self._notes.note("interruption", by=cut["cutBy"], turn=turn, atMs=self._notes.ms(ended))
        figures = stages(self._unanswered, message.metrics)
        self._unanswered = {}
        if figures:
            self._notes.note("metrics.turn", turn=turn, **figures)

    def _cut(self) -> dict[str, Any]:
        exact = self._words_were_synchronized and self._has_word_times()
        by = "user" if self._user_state == "speaking" or not self._is_closing() else "hangup"
        if self._supervisor_cuts:
            by, self._supervisor_cuts = "supervisor", False
        return {"interrupted": True, "cutBy": by, "heard": "exact" if exact else "unknown"}
