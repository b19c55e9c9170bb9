"""The user's speech, from a pipeline's frames. Voice activity gives the times, the context aggregator the words."""

from __future__ import annotations

from typing import Any

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.turn_counter import TurnCounter


class UserSpeech:
    """The user's utterance in progress."""

    def __init__(self, notes: CallNotes, turns: TurnCounter) -> None:
        self._notes = notes
        self._turns = turns
        self._started: float | None = None
        self._ended: float | None = None
        self._pieces: list[str] = []
        self._language: str | None = None

    def voice_started(self, frame: Any, at: float) -> None:
        """Handle VADUserStartedSpeakingFrame: `timestamp` is `start_secs` after the actual start of speech."""
        if self._started is None:
            self._started = frame.timestamp - frame.start_secs
        self._ended = None

    def voice_stopped(self, frame: Any, at: float) -> None:
        self._ended = frame.timestamp - frame.stop_secs

    def turn_started(self, frame: Any, at: float) -> None:
        self._turns.user_begins()
        if self._started is None:
            self._started = at
        self._notes.state("user", "speaking")

    def turn_stopped(self, frame: Any, at: float) -> None:
        if self._ended is None and self._started is not None:
            self._ended = at
        self._notes.state("user", "listening")

    def interim(self, frame: Any, at: float) -> None:
        self._notes.heard_so_far("user", " ".join([*self._pieces, frame.text]))

    def transcribed(self, frame: Any, at: float) -> None:
        self._pieces.append(frame.text.strip())
        self._language = getattr(frame.language, "value", frame.language) or self._language
        self._notes.heard_so_far("user", " ".join(self._pieces))

    def turn_in_context(self, frame: Any, at: float) -> None:
        """Handle LLMContextUserTurnFrame, which has the words that the model gets."""
        self._pieces.clear()
        if frame.text.strip():
            self._said(frame.text.strip())

    def backchannel(self, frame: Any, at: float) -> None:
        self._notes.said(
            "user", frame.text, turn=self._turns.current, started=self._started, ended=self._ended, source="backchannel"
        )
        self._forget()

    def typed(self, frame: Any, at: float) -> None:
        self._notes.said("user", frame.text, turn=self._turns.user_has_said(), source="chat")

    def flush(self) -> None:
        """Post transcripts that never reached a context: there is no aggregator, or the call has ended."""
        if self._pieces:
            text = " ".join(self._pieces)
            self._pieces.clear()
            self._said(text)

    def _said(self, text: str) -> None:
        turn = self._turns.user_has_said()
        self._notes.said("user", text, turn=turn, started=self._started, ended=self._ended, language=self._language)
        self._forget()

    def _forget(self) -> None:
        self._started = self._ended = None
