"""Mapping a Realtime session's server events, one by one, to events and hints."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.fields_of import field
from turnwire.adapters.mapped import Collected, Mapped
from turnwire.adapters.openai_realtime.answers import RealtimeSpeech
from turnwire.adapters.openai_realtime.audio_clock import AudioClock
from turnwire.adapters.openai_realtime.responses import TAG, OpenResponses
from turnwire.adapters.openai_realtime.tools import RealtimeTools
from turnwire.adapters.turn_counter import TurnCounter

Step = Callable[[Any, float], None]


@dataclass
class Heard:
    """An utterance of the user whose transcript has not arrived yet."""

    turn: int
    started_ms: float | None = None
    """The position in the user's audio, converted to a time later, when the clock is better calibrated."""
    ended: float | None = None
    text: str = ""


class RealtimeMapper:
    """The mapper of one session. Pass each server event on arrival, in order: a dict, or an object of OpenAI's SDK.

    `clock` gives Unix times in seconds; use another one for a recorded session. Ids are OpenAI's, so that mapping a
    session again makes no new events.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._collected = Collected()
        self._notes = CallNotes(self._collected, clock=clock)
        self._audio = AudioClock()
        self._turns = TurnCounter()
        self._answers = RealtimeSpeech(self._notes, self._audio)
        self._tools = RealtimeTools(self._notes)
        self._heard: dict[str, Heard] = {}
        self._user_silent_at: float | None = None
        self._model: str | None = None
        self._is_started = False
        self._is_over = False
        self._responses = OpenResponses()
        self.server_plays = False
        """Whether the server plays the audio itself, over WebRTC or SIP."""
        self._steps = self._table()

    def events(self, event: Any) -> list[Mapped]:
        """Map a server event; most map to nothing. Never raises."""
        return self._collected.of(self._event, event)

    def _event(self, event: Any) -> None:
        now = self._clock()
        step = self._steps.get(str(field(event, "type")))
        if self._answers.last is not None and self._answers.played_out(now):
            self._notes.state("bot", "listening", event_id=f"{self._id(event)}:quiet")
        if step is not None:
            step(event, now)

    def close(self, reason: str = "ended") -> list[Mapped]:
        """Return the last events, after the connection has ended."""
        return self._collected.of(self._close, reason)

    def _close(self, reason: str) -> None:
        if not self._is_over:
            self._is_over = True
            for item_id, heard in self._heard.items():
                if heard.text:
                    self._user_said(item_id, heard, heard.text)
            self._tools.call_over(self._clock())
            self._notes.note("call.ended", reason=reason, event_id="call.ended")

    # What commands need to know

    @property
    def is_responding(self) -> bool:
        """Whether a response is being generated."""
        return self._responses.is_busy

    async def until_free(self) -> None:
        """Wait until no response is being generated."""
        await self._responses.until_free()

    def response_of(self, tag: str) -> Awaitable[str]:
        """Return the status with which the response of this tag ends. Raises RuntimeError if the server does not
        generate it."""
        return self._responses.ours(tag)

    def seconds_to_play(self) -> float:
        """Return for how many seconds the generated audio goes on playing."""
        return self._answers.seconds_left(self._clock())

    def supervisor_cuts_in(self) -> None:
        """Note that the current speech is about to be cut short for a supervisor."""
        self._answers.supervisor_cuts_in(self._clock())

    def _table(self) -> dict[str, Step]:
        return {
            "session.created": self._session,
            "session.updated": self._session,
            "input_audio_buffer.speech_started": self._user_begins,
            "input_audio_buffer.speech_stopped": self._user_stops,
            "input_audio_buffer.dtmf_event_received": self._key_pressed,
            "input_audio_buffer.timeout_triggered": self._user_idle,
            "conversation.item.input_audio_transcription.delta": self._transcript_delta,
            "conversation.item.input_audio_transcription.completed": self._transcribed,
            "conversation.item.input_audio_transcription.failed": self._not_transcribed,
            "conversation.item.created": self._item,
            "conversation.item.added": self._item,
            "conversation.item.done": self._item,
            "conversation.item.truncated": self._truncated,
            "response.created": self._response_begins,
            "response.output_audio.delta": self._bot_audio,
            "response.output_audio_transcript.delta": self._bot_text,
            "response.output_text.delta": self._bot_text,
            "response.output_item.added": self._tools.item_added,
            "response.output_item.done": self._output_item,
            "response.done": self._response_done,
            "output_audio_buffer.started": self._playback_begins,
            "output_audio_buffer.stopped": self._playback_ends,
            "output_audio_buffer.cleared": self._playback_cut,
            "error": self._error,
        }

    # The session

    def _session(self, event: Any, now: float) -> None:
        session = field(event, "session")
        self._audio.configure(session)
        self._model = field(session, "model") or self._model
        if not self._is_started:
            self._is_started = True
            self._notes.note("call.started", framework="openai-realtime", model=self._model, event_id=self._id(event))

    def _error(self, event: Any, now: float) -> None:
        error = field(event, "error")
        code = field(error, "code") or field(error, "type")
        self._responses.refused(field(error, "event_id"), str(field(error, "message")))
        self._notes.note("error", message=field(error, "message"), code=code, event_id=self._id(event))

    # The user

    def _user_begins(self, event: Any, now: float) -> None:
        self._turns.user_begins()
        heard = self._heard_of(event)
        heard.started_ms = field(event, "audio_start_ms") or 0
        self._audio.began(heard.started_ms or 0, now)
        self._notes.state("user", "speaking", event_id=self._id(event))

    def _user_stops(self, event: Any, now: float) -> None:
        heard = self._heard_of(event)
        heard.ended = self._user_silent_at = self._audio.ended(field(event, "audio_end_ms") or 0, now)
        self._turns.user_has_said()
        self._notes.state("user", "listening", event_id=self._id(event))

    def _transcript_delta(self, event: Any, now: float) -> None:
        heard = self._heard_of(event)
        heard.text += field(event, "delta") or ""
        self._notes.heard_so_far("user", heard.text, turn=heard.turn)

    def _transcribed(self, event: Any, now: float) -> None:
        """Post the user's utterance. Its transcript may arrive after the bot's answer: the times tell the order."""
        item_id = str(field(event, "item_id"))
        heard = self._heard_of(event)
        self._heard.pop(item_id, None)
        text = (field(event, "transcript") or "").strip()
        if text:
            self._user_said(item_id, heard, text, languages=field(event, "languages"))
        usage = field(event, "usage")
        if usage is not None:
            self._notes.note(
                "usage",
                kind="stt",
                provider="openai",
                inputTokens=field(usage, "input_tokens"),
                outputTokens=field(usage, "output_tokens"),
                audioSeconds=field(usage, "seconds"),
                event_id=f"{item_id}:usage",
            )

    def _not_transcribed(self, event: Any, now: float) -> None:
        self._heard.pop(str(field(event, "item_id")), None)
        self._error(event, now)

    def _user_said(self, item_id: str, heard: Heard, text: str, *, languages: Any = None) -> None:
        first = field(languages[0], "code") or field(languages[0], "language") if languages else None
        started = None if heard.started_ms is None else self._audio.began(heard.started_ms, self._clock())
        self._notes.said(
            "user", text, turn=heard.turn, started=started, ended=heard.ended, event_id=item_id, language=first
        )

    def _heard_of(self, event: Any) -> Heard:
        item_id = str(field(event, "item_id"))
        if item_id not in self._heard:
            self._heard[item_id] = Heard(self._turns.current)
        return self._heard[item_id]

    def _user_idle(self, event: Any, now: float) -> None:
        self._notes.state("user", "idle", event_id=self._id(event))

    def _key_pressed(self, event: Any, now: float) -> None:
        digits = str(field(event, "event"))
        self._notes.note("dtmf", by="user", digits=digits, event_id=f"dtmf:{field(event, 'received_at')}:{digits}")

    # Items that the model did not make

    def _item(self, event: Any, now: float) -> None:
        item = field(event, "item")
        if field(item, "type") == "function_call_output":
            self._tools.answered(item, now)
        elif field(item, "role") == "user" and field(event, "type") != "conversation.item.done":
            written = [field(part, "text") for part in field(item, "content") or [] if field(part, "text")]
            if written:
                turn = self._turns.user_has_said()
                self._notes.said("user", " ".join(written), turn=turn, source="chat", event_id=str(field(item, "id")))

    # The bot

    def _response_begins(self, event: Any, now: float) -> None:
        self._responses.begun()
        if self._answers.played_out(now):
            self._notes.state("bot", "thinking", event_id=self._id(event))

    def _bot_audio(self, event: Any, now: float) -> None:
        turn = self._turns.current
        is_first = self._answers.audio(str(field(event, "item_id")), turn, field(event, "delta") or "", now)
        if is_first:
            self._notes.state("bot", "speaking", event_id=self._id(event))
            self._tell_response(str(field(event, "response_id")), turn, now)

    def _tell_response(self, response_id: str, turn: int, now: float) -> None:
        if self._user_silent_at is not None:
            took = round((now - self._user_silent_at) * 1000)
            self._user_silent_at = None
            self._notes.note("metrics.turn", turn=turn, responseMs=took, event_id=f"{response_id}:metrics")

    def _bot_text(self, event: Any, now: float) -> None:
        self._answers.text(str(field(event, "item_id")), self._turns.current, field(event, "delta") or "")

    def _output_item(self, event: Any, now: float) -> None:
        item = field(event, "item")
        if field(item, "type") == "message":
            cut = field(item, "status") == "incomplete"
            self._answers.done(item, self._turns.current, now, cut=cut)
        else:
            self._tools.item_done(event, now)

    def _truncated(self, event: Any, now: float) -> None:
        self._answers.truncated(str(field(event, "item_id")), field(event, "audio_end_ms") or 0, self._id(event))

    def _response_done(self, event: Any, now: float) -> None:
        response = field(event, "response")
        response_id = str(field(response, "id"))
        self._responses.ended(field(response, "metadata", TAG), str(field(response, "status")))
        details = field(response, "status_details", "error")
        if field(response, "status") == "failed":
            code = field(details, "code") or field(details, "type")
            message = field(details, "message") or "the response failed"
            self._notes.note("error", message=message, code=code, event_id=f"{response_id}:error")
        usage = field(response, "usage")
        if usage is not None:
            self._notes.note(
                "usage",
                kind="llm",
                provider="openai",
                model=self._model,
                inputTokens=field(usage, "input_tokens"),
                outputTokens=field(usage, "output_tokens"),
                event_id=f"{response_id}:usage",
            )

    # Playback by the server: WebRTC and SIP

    def _playback_begins(self, event: Any, now: float) -> None:
        self.server_plays = True
        self._notes.state("bot", "speaking", event_id=self._id(event))

    def _playback_ends(self, event: Any, now: float) -> None:
        self._answers.playback_ended(now)
        self._notes.state("bot", "listening", event_id=self._id(event))

    def _playback_cut(self, event: Any, now: float) -> None:
        self._answers.cleared(now, self._id(event))
        self._playback_ends(event, now)

    def _id(self, event: Any) -> str:
        return str(field(event, "event_id"))
