"""What the bot says, and how much of it was heard.

The TTS announces a sentence before it makes the audio. A frame that leaves the output transport has been played. A
voice with word times gives each word a frame, which leaves the transport when the word is spoken: what was heard of a
cut utterance is then known exactly. Other voices give each sentence one frame after its audio: what was heard of a cut
utterance is then unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.turn_counter import TurnCounter


@dataclass
class SpokenPiece:
    """A word or a sentence that the voice says."""

    text: str
    glued: bool
    """Whether the text includes the spaces around it."""
    timed: bool
    played: bool = False


@dataclass
class Voiced:
    """One context of the TTS: an answer, or a single sentence."""

    announced: list[str] = field(default_factory=list)
    pieces: dict[int, SpokenPiece] = field(default_factory=dict)

    def text(self, *, played_only: bool = False) -> str:
        text = ""
        for piece in self.pieces.values():
            if piece.played or not played_only:
                text += piece.text if piece.glued or not text or text[-1].isspace() else " " + piece.text
        return " ".join(text.split())

    def planned(self) -> str:
        return " ".join(" ".join(self.announced).split()) or self.text()

    @property
    def is_timed(self) -> bool:
        return any(piece.timed for piece in self.pieces.values())

    @property
    def was_played(self) -> bool:
        return any(piece.played for piece in self.pieces.values())


class BotSpeech:
    """The bot's utterance in progress. Contexts play in the order in which they began."""

    def __init__(self, notes: CallNotes, turns: TurnCounter) -> None:
        self._notes = notes
        self._turns = turns
        self._voiced: dict[str | None, Voiced] = {}
        self._answer = ""
        self._has_voice = False
        self._started: float | None = None
        self._turn = 0

    @property
    def is_speaking(self) -> bool:
        return self._started is not None

    # Frames as they are made

    def answer_begins(self, frame: Any, at: float) -> None:
        self._answer = ""
        if not self.is_speaking:
            self._notes.state("bot", "thinking")

    def answer_text(self, frame: Any, at: float) -> None:
        self._answer += frame.text

    def announced(self, frame: Any, at: float) -> None:
        if getattr(frame, "will_be_spoken", False):
            self._has_voice = True
            self._voiced.setdefault(frame.context_id, Voiced()).announced.append(frame.text)

    def voiced(self, frame: Any, at: float) -> None:
        self._has_voice = True
        piece = SpokenPiece(frame.text, bool(frame.includes_inter_frame_spaces), frame.pts is not None)
        self._voiced.setdefault(frame.context_id, Voiced()).pieces[frame.id] = piece

    def turn_in_context(self, frame: Any, at: float) -> None:
        """Handle LLMContextAssistantTurnFrame, which only matters for a bot that writes."""
        if not self._has_voice and frame.text.strip():
            self._notes.said("bot", frame.text.strip(), turn=self._turns.current)

    # Frames as they are played

    def played(self, frame: Any, at: float) -> None:
        voiced = self._voiced.get(frame.context_id)
        piece = voiced.pieces.get(frame.id) if voiced else None
        if voiced is not None and piece is not None:
            piece.played = True
            turn = self._turn if self.is_speaking else self._turns.current
            self._notes.heard_so_far("bot", voiced.text(played_only=True), turn=turn)

    def started(self, frame: Any, at: float) -> None:
        if self._started is None:
            self._started = at
            self._turn = self._turns.current
            self._notes.state("bot", "speaking")

    def stopped(self, frame: Any, at: float) -> None:
        if self._started is not None:
            self._close(at)

    # Ends

    def interrupted(self, frame: Any, at: float) -> None:
        """Handle InterruptionFrame: everything made but not yet played is discarded."""
        self._interrupted(at, "user")

    def interrupted_by_supervisor(self, frame: Any, at: float) -> None:
        """Handle SupervisorInterruptionFrame, which does the same."""
        self._interrupted(at, "supervisor")

    def _interrupted(self, at: float, by: str) -> None:
        if self._started is not None:
            self._cut(at, by)
        self._voiced.clear()
        self._answer = ""

    def call_over(self, at: float, *, hung_up: bool) -> None:
        if self._started is not None and hung_up:
            self._cut(at, "hangup")
        elif self._started is not None:
            self._close(at)

    def _close(self, at: float) -> None:
        texts = [voiced.text() for voiced in self._take_played()]
        if not texts and self._voiced:  # it was played, although no frame of it has left the transport
            texts = [self._voiced.pop(next(iter(self._voiced))).planned()]
        self._tell(" ".join(texts) or self._answer.strip(), at)

    def _cut(self, at: float, by: str) -> None:
        exact = any(voiced.is_timed for voiced in self._voiced.values())
        heard = " ".join(voiced.text(played_only=True) for voiced in self._voiced.values() if voiced.was_played)
        planned = self._planned()
        unsaid = " ".join(planned.split()[len(heard.split()) :])
        if not unsaid:
            self._tell(heard or planned, at)
        elif exact:
            self._tell(heard, at, interrupted=True, cutBy=by, heard="exact", unsaid=unsaid)
        else:
            self._tell(planned, at, interrupted=True, cutBy=by, heard="unknown")
        if unsaid and by != "hangup":
            self._notes.note(
                "interruption",
                by=by,
                turn=self._turn,
                atMs=self._notes.ms(at),
                unsaid=unsaid if exact else None,
            )

    def _planned(self) -> str:
        """Return everything that was to be said: the announced text, and the rest of the answer."""
        announced = " ".join(voiced.planned() for voiced in self._voiced.values())
        answer = " ".join(self._answer.split())
        return answer if answer.startswith(announced) else announced

    def _take_played(self) -> list[Voiced]:
        contexts = [context for context, voiced in self._voiced.items() if voiced.was_played]
        return [self._voiced.pop(context) for context in contexts]

    def _tell(self, text: str, at: float, **facts: Any) -> None:
        started, self._started = self._started, None
        if text:
            self._notes.said("bot", text, turn=self._turn, started=started, ended=at, **facts)
        self._notes.state("bot", "listening")
