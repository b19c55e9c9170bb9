"""Deepgram's Voice Agent: the messages of its WebSocket, mapped to events.

from turnwire.adapters import deliver
from turnwire.adapters.deepgram import DeepgramMapper

mapper = DeepgramMapper()
async for message in connection:             # including audio, as bytes
    deliver(call, mapper.events(message))
    …
    deliver(call, mapper.sent(response))     # your FunctionCallResponse, if you run functions
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.fields_of import decoded, field
from turnwire.adapters.mapped import Collected, Mapped
from turnwire.adapters.turn_counter import TurnCounter

STAGES = {
    "stt_latency": "sttMs",
    "ttt_text_latency": "llmMs",
    "ttt_latency": "llmMs",
    "tts_latency": "ttsMs",
    "total_latency": "responseMs",
}
"""Deepgram's latency, in seconds → the field of `metrics.turn`, in milliseconds."""


class DeepgramMapper:
    """The mapper of one connection's messages. Pass each on arrival: a dict, an object of the SDK, or bytes of audio.

    Deepgram's messages have no times and few ids. `clock` gives Unix times in seconds, and events are numbered, so that
    the same messages make the same ids. `bytes_a_second` is the rate of the agent's audio: 16 bits at 24 kHz by
    default.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, bytes_a_second: int = 48_000) -> None:
        self._clock = clock
        self._collected = Collected()
        self._notes = CallNotes(self._collected, clock=clock)
        self._turns = TurnCounter()
        self._bytes_a_second = bytes_a_second
        self._count = 0
        self._user_started: float | None = None
        self._bot_texts: list[str] = []
        self._bot_started: float | None = None
        self._bot_audio = 0.0
        self._bot_turn = 0
        self._planned_end = 0.0
        self._running: dict[str, tuple[str | None, float]] = {}
        self._steps: dict[str, Callable[[Any, float], None]] = {
            "Welcome": self._welcome,
            "UserStartedSpeaking": self._user_begins,
            "ConversationText": self._text,
            "AgentThinking": self._thinking,
            "AgentStartedSpeaking": self._bot_begins,
            "LatencyReport": self._latency,
            "AgentAudioDone": self._audio_done,
            "FunctionCallRequest": self._functions,
            "FunctionCallResponse": self._function_done,
            "FunctionCallCancelled": self._functions_cancelled,
            "FrustrationDetected": self._frustration,
            "Error": self._error,
            "Warning": self._error,
        }

    def events(self, message: Any) -> list[Mapped]:
        """Map a message from Deepgram. Never raises."""
        return self._collected.of(self._received, message)

    def _received(self, message: Any) -> None:
        now = self._clock()
        if isinstance(message, bytes | bytearray | memoryview):
            self._audio(len(message), now)
        else:
            step = self._steps.get(str(field(message, "type")))
            if step is not None:
                step(message, now)

    def sent(self, message: Any) -> list[Mapped]:
        """Map a message to Deepgram: the response to a function call ends that call. Never raises."""
        return self._collected.of(self._sent, message)

    def _sent(self, message: Any) -> None:
        if field(message, "type") == "FunctionCallResponse":
            self._function_done(message, self._clock())

    def close(self, reason: str = "ended") -> list[Mapped]:
        """Return the last events, after the connection has ended."""
        return self._collected.of(self._close, reason)

    def _close(self, reason: str) -> None:
        now = self._clock()
        self._tell_bot(now, cut_by="hangup" if now < self._planned_end else None)
        for call_id, (name, started) in self._running.items():
            self._end("tool.cancelled", call_id, name, started, now)
        self._running.clear()
        self._notes.note("call.ended", reason=reason, event_id="call.ended")

    def _id(self) -> str:
        self._count += 1
        return f"dg-{self._count}"

    def _welcome(self, message: Any, now: float) -> None:
        request = field(message, "request_id")
        self._notes.note("call.started", framework="deepgram", requestId=request, event_id=self._id())

    # The user

    def _user_begins(self, message: Any, now: float) -> None:
        self._user_started = now
        self._notes.state("user", "speaking", event_id=self._id())
        if now < self._planned_end:
            self._tell_bot(now, cut_by="user")
            self._notes.note(
                "interruption", by="user", turn=self._bot_turn, atMs=self._notes.ms(now), event_id=self._id()
            )
            self._planned_end = now
        self._turns.user_begins()

    def _text(self, message: Any, now: float) -> None:
        text = (field(message, "content") or "").strip()
        behavior = field(message, "conversational_behavior")
        if field(message, "role") == "user":
            self._tell_bot(now)
            is_backchannel = behavior == "backchannel"
            turn = self._turns.current if is_backchannel else self._turns.user_has_said()
            languages = field(message, "languages") or [None]
            self._notes.state("user", "listening", event_id=self._id())
            self._notes.said(
                "user",
                text,
                turn=turn,
                started=self._user_started,
                language=languages[0],
                source="backchannel" if is_backchannel else None,
                event_id=self._id(),
            )
            self._user_started = None
        elif text:
            self._bot_texts.append(text)
            self._bot_turn = self._turns.current
            self._notes.heard_so_far("bot", " ".join(self._bot_texts), turn=self._bot_turn)

    # The bot

    def _thinking(self, message: Any, now: float) -> None:
        self._notes.state("bot", "thinking", event_id=self._id())

    def _bot_begins(self, message: Any, now: float) -> None:
        self._begin_audio(now)
        self._latency(message, now)

    def _audio(self, size: int, now: float) -> None:
        self._begin_audio(now)
        self._bot_audio += size / self._bytes_a_second
        self._planned_end = (self._bot_started or now) + self._bot_audio

    def _begin_audio(self, now: float) -> None:
        if self._bot_started is None:
            self._bot_started = max(now, self._planned_end)
            self._bot_turn = self._turns.current
            self._notes.state("bot", "speaking", event_id=self._id())

    def _latency(self, message: Any, now: float) -> None:
        figures = {name: round(field(message, key) * 1000) for key, name in STAGES.items() if field(message, key)}
        if figures:
            facts: dict[str, Any] = dict(figures)
            self._notes.note("metrics.turn", turn=self._turns.current, event_id=self._id(), **facts)

    def _audio_done(self, message: Any, now: float) -> None:
        self._tell_bot(now)

    def _tell_bot(self, now: float, *, cut_by: str | None = None) -> None:
        """Post the bot's utterance: all its audio has arrived, or it was cut short."""
        if self._bot_texts:
            ended = self._planned_end if self._bot_audio else None
            facts: dict[str, Any] = {}
            if cut_by is not None:
                ended, facts = now, {"interrupted": True, "cutBy": cut_by, "heard": "unknown"}
            self._notes.said(
                "bot",
                " ".join(self._bot_texts),
                turn=self._bot_turn,
                started=self._bot_started,
                ended=ended,
                event_id=self._id(),
                **facts,
            )
            self._notes.state("bot", "listening", event_id=self._id())
        self._bot_texts = []
        self._bot_started, self._bot_audio = None, 0.0

    # Functions and trouble

    def _functions(self, message: Any, now: float) -> None:
        for function in field(message, "functions") or []:
            call_id, name = str(field(function, "id")), field(function, "name")
            self._running[call_id] = (name, now)
            self._notes.note(
                "tool.started",
                name=name,
                callId=call_id,
                arguments=decoded(field(function, "arguments")),
                event_id=f"{call_id}:started",
            )

    def _function_done(self, message: Any, now: float) -> None:
        call_id = field(message, "id") or self._running_named(field(message, "name"))
        if call_id in self._running:
            name, started = self._running.pop(call_id)
            self._end("tool.completed", call_id, name, started, now, result=decoded(field(message, "content")))

    def _functions_cancelled(self, message: Any, now: float) -> None:
        for function in field(message, "functions") or []:
            call_id = str(field(function, "id"))
            name, started = self._running.pop(call_id, (field(function, "name"), now))
            self._end("tool.cancelled", call_id, name, started, now)

    def _running_named(self, name: Any) -> str | None:
        """Find a running call by its function's name: the server may omit the id of a function that it ran itself."""
        return next((call_id for call_id, (known, _) in self._running.items() if known == name), None)

    def _end(self, event: str, call_id: str, name: str | None, started: float, now: float, **facts: Any) -> None:
        took = round((now - started) * 1000)
        self._notes.note(event, name=name, callId=call_id, durationMs=took, event_id=f"{call_id}:ended", **facts)

    def _frustration(self, message: Any, now: float) -> None:
        self._notes.note("user.frustrated", count=field(message, "count"), event_id=self._id())

    def _error(self, message: Any, now: float) -> None:
        event = "error" if field(message, "type") == "Error" else "warning"
        self._notes.note(event, message=field(message, "description"), code=field(message, "code"), event_id=self._id())
