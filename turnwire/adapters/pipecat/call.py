"""Dispatching the frames of one call in a pipeline, by the names of their classes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.pipecat.bot_speech import BotSpeech
from turnwire.adapters.pipecat.figures import UsageTally, stages
from turnwire.adapters.pipecat.tools import PipecatTools
from turnwire.adapters.pipecat.user_speech import UserSpeech
from turnwire.adapters.turn_counter import TurnCounter
from turnwire.protocol.messages import FinalStatus

log = logging.getLogger("turnwire")

Step = Callable[[Any, float], None]


class PipecatCall:
    """The handlers of a pipeline's frames. Each frame comes once, and text once more when it leaves the transport."""

    def __init__(self, notes: CallNotes, services: Sequence[str] = ()) -> None:
        self._notes = notes
        self._services = list(services)
        self._turns = TurnCounter()
        self._user = UserSpeech(notes, self._turns)
        self._bot = BotSpeech(notes, self._turns)
        self._tools = PipecatTools(notes)
        self._usage = UsageTally(notes)
        self._last_frame = ""
        self._reason: str | None = None
        self._failed = False
        self._over = False
        self._steps = self._table()

    def _table(self) -> dict[str, Step]:
        user, bot, tools = self._user, self._bot, self._tools
        return {
            "StartFrame": self._started,
            "VADUserStartedSpeakingFrame": user.voice_started,
            "VADUserStoppedSpeakingFrame": user.voice_stopped,
            "UserStartedSpeakingFrame": user.turn_started,
            "UserStoppedSpeakingFrame": user.turn_stopped,
            "InterimTranscriptionFrame": user.interim,
            "TranscriptionFrame": user.transcribed,
            "LLMContextUserTurnFrame": self._user_said,
            "UserBackchannelFrame": user.backchannel,
            "InputTextRawFrame": user.typed,
            "LLMFullResponseStartFrame": bot.answer_begins,
            "LLMTextFrame": bot.answer_text,
            "TTSTextFrame": bot.voiced,
            "AggregatedTextFrame": bot.announced,
            "BotStartedSpeakingFrame": self._bot_started,
            "BotStoppedSpeakingFrame": bot.stopped,
            "LLMContextAssistantTurnFrame": bot.turn_in_context,
            "InterruptionFrame": bot.interrupted,
            "SupervisorInterruptionFrame": bot.interrupted_by_supervisor,
            "FunctionCallsStartedFrame": tools.wanted,
            "FunctionCallInProgressFrame": tools.runs,
            "FunctionCallResultFrame": tools.answered,
            "FunctionCallCancelFrame": tools.cancelled,
            "ExternalFunctionCallsStartedFrame": tools.wanted,
            "ExternalFunctionCallInProgressFrame": tools.runs,
            "ExternalFunctionCallResultFrame": tools.answered,
            "ExternalFunctionCallCancelFrame": tools.cancelled,
            "MetricsFrame": self._usage.reported,
            "InputDTMFFrame": self._key_of_user,
            "OutputDTMFFrame": self._keys_of_bot,
            "OutputDTMFUrgentFrame": self._keys_of_bot,
            "ErrorFrame": self._error,
            "EndFrame": self._ending,
            "StopFrame": self._ending,
            "CancelFrame": self._ending,
        }

    def step_for(self, kind: type) -> Step | None:
        """Return the handler for frames of this class, by its nearest known ancestor; None if there is none."""
        for ancestor in kind.__mro__:
            if ancestor.__name__ in self._steps:
                return self._steps[ancestor.__name__]
        return None

    def text_played(self, frame: Any, at: float) -> None:
        """Note that a text has left the output transport, and thus has been heard."""
        self._bot.played(frame, at)

    def latency_measured(self, breakdown: Any) -> None:
        """Post Pipecat's LatencyBreakdown of the answer that begins now."""
        self._notes.note("metrics.turn", turn=self._turns.current, **stages(breakdown))

    def finish(self, at: float) -> tuple[FinalStatus, str]:
        """Post everything that is still open. Return the status and the reason of the end."""
        status: FinalStatus = "failed" if self._failed else "completed"
        reason = self._reason or {"EndFrame": "ended", "StopFrame": "stopped"}.get(self._last_frame, "cancelled")
        if not self._over:
            self._over = True
            self._bot.call_over(at, hung_up=self._last_frame not in {"EndFrame", "StopFrame"})
            self._user.flush()
            self._tools.call_over(at)
            self._usage.tell()
            self._notes.note("call.ended", reason=reason)
        return status, reason

    # Frames that concern more than one part

    def _started(self, frame: Any, at: float) -> None:
        self._notes.note("call.started", framework="pipecat", services=self._services or None)

    def _user_said(self, frame: Any, at: float) -> None:
        self._user.turn_in_context(frame, at)
        self._usage.tell()

    def _bot_started(self, frame: Any, at: float) -> None:
        self._user.flush()
        self._bot.started(frame, at)

    def _key_of_user(self, frame: Any, at: float) -> None:
        self._notes.note("dtmf", by="user", digits=str(getattr(frame.button, "value", frame.button)))

    def _keys_of_bot(self, frame: Any, at: float) -> None:
        buttons = frame.buttons or [frame.button]
        digits = "".join(str(getattr(button, "value", button)) for button in buttons)
        self._notes.note("dtmf", by="bot", digits=digits)

    def _error(self, frame: Any, at: float) -> None:
        category = getattr(frame, "category", None)
        processor = getattr(frame, "processor", None)
        self._failed = self._failed or bool(frame.fatal)
        self._notes.note(
            "error",
            message=frame.error,
            code=getattr(category, "value", category),
            processor=getattr(processor, "name", None),
            fatal=frame.fatal or None,
        )

    def _ending(self, frame: Any, at: float) -> None:
        self._last_frame = type(frame).__name__
        reason = getattr(frame, "reason", None)
        self._reason = str(reason)[:256] if reason else None
