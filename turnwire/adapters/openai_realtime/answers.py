"""The bot's speech in a Realtime session, whose audio arrives faster than it is played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.fields_of import field
from turnwire.adapters.openai_realtime.audio_clock import AudioClock

Cutter = Literal["user", "supervisor"]


@dataclass
class Answer:
    """One output item of the bot."""

    turn: int
    text: str = ""
    started: float | None = None
    audio: float = 0.0
    """Seconds of audio received."""
    ended: float | None = None
    """The end of its playback, complete or cut short, if known."""
    is_told: bool = False

    @property
    def planned_end(self) -> float | None:
        return None if self.started is None else self.started + self.audio


class RealtimeSpeech:
    """The bot's items, by id. Their audio plays one after another."""

    def __init__(self, notes: CallNotes, clock: AudioClock) -> None:
        self._notes = notes
        self._clock = clock
        self._items: dict[str, Answer] = {}
        self._last: Answer | None = None
        self._cut_by: Cutter = "user"

    def supervisor_cuts_in(self, now: float) -> None:
        """Note that the speech that is being generated or played is cut short for a supervisor."""
        if not self.played_out(now):
            self._cut_by = "supervisor"

    def item(self, item_id: str, turn: int) -> Answer:
        if item_id not in self._items:
            self._items[item_id] = Answer(turn)
        return self._items[item_id]

    def audio(self, item_id: str, turn: int, delta: str, now: float) -> bool:
        """Add a piece of audio. Return whether it is the first of its item."""
        answer = self.item(item_id, turn)
        is_first = answer.started is None
        if answer.started is None:
            busy = self._last.planned_end if self._last is not None and self._last.ended is None else None
            answer.started = max(now, busy or now)
            self._last = answer
            self._cut_by = "user"
        answer.audio += self._clock.seconds_of(len(delta))
        return is_first

    def text(self, item_id: str, turn: int, delta: str) -> None:
        answer = self.item(item_id, turn)
        answer.text += delta
        self._notes.heard_so_far("bot", answer.text, turn=answer.turn)

    def done(self, item: Any, turn: int, now: float, *, cut: bool) -> None:
        """Post an output item that is complete or was cancelled."""
        item_id = str(field(item, "id"))
        answer = self.item(item_id, turn)
        answer.text = text_of(item) or answer.text
        if answer.is_told or not answer.text.strip():
            return
        answer.is_told = True
        planned = answer.planned_end
        ended = answer.ended if answer.ended is not None else planned
        facts: dict[str, Any] = {}
        if cut:
            ended = None if ended is None else min(ended, now)
            facts = {"interrupted": True, "cutBy": self._cut_by, "heard": "unknown"}
        self._notes.said(
            "bot", answer.text.strip(), turn=answer.turn, started=answer.started, ended=ended, event_id=item_id, **facts
        )

    def truncated(self, item_id: str, audio_end_ms: float, event_id: str) -> None:
        """Note that the client cut the playback after `audio_end_ms` milliseconds."""
        answer = self._items.get(item_id)
        if answer is not None and answer.started is not None:
            answer.ended = min(answer.started + audio_end_ms / 1000, answer.planned_end or float("inf"))
            at = self._notes.ms(answer.ended)
            self._notes.note("interruption", by=self._cut_by, turn=answer.turn, atMs=at, event_id=event_id)

    def cleared(self, now: float, event_id: str) -> None:
        """Note that the server, which plays the audio itself, has discarded what it had not played."""
        if self._last is not None and not self.played_out(now):
            turn, at = self._last.turn, self._notes.ms(now)
            self._notes.note("interruption", by=self._cut_by, turn=turn, atMs=at, event_id=event_id)

    def seconds_left(self, now: float) -> float:
        """Return for how many seconds the generated audio goes on playing."""
        if self._last is None or self._last.ended is not None:
            return 0.0
        return max(0.0, (self._last.planned_end or now) - now)

    def played_out(self, now: float) -> bool:
        """Return whether all audio has been played by now."""
        last = self._last
        if last is None:
            return True
        end = last.ended if last.ended is not None else last.planned_end
        return end is not None and now >= end

    def playback_ended(self, now: float) -> None:
        """Note that the server, which plays the audio itself over WebRTC and SIP, has played or discarded all of it."""
        if self._last is not None:
            self._last.ended = now

    @property
    def last(self) -> Answer | None:
        return self._last


def text_of(item: Any) -> str:
    """Return the text of a message item, written or spoken."""
    parts = field(item, "content") or []
    return " ".join(text for part in parts if (text := field(part, "transcript") or field(part, "text")))
