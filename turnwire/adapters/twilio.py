"""Twilio ConversationRelay: the messages of its WebSocket, in both directions, mapped to events.

from turnwire.adapters import deliver
from turnwire.adapters.twilio import TwilioMapper

mapper = TwilioMapper()
deliver(call, mapper.events(message))   # each message from Twilio; the call is `setup["callSid"]`
deliver(call, mapper.sent(answer))      # each message to Twilio
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.fields_of import decoded
from turnwire.adapters.mapped import Collected, Mapped
from turnwire.adapters.turn_counter import TurnCounter

Message = Mapping[str, Any]


class TwilioMapper:
    """The mapper of one call's messages, in order. Twilio gives no times of speech, so times are those of arrival."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._collected = Collected()
        self._notes = CallNotes(self._collected, clock=clock)
        self._turns = TurnCounter()
        self._count = 0
        self._prompt = ""
        self._tokens = ""
        self._said = ""
        self._said_at = 0.0
        self._user_silent_at: float | None = None
        self._steps: dict[str, Callable[[Message], None]] = {
            "setup": self._setup,
            "prompt": self._prompted,
            "interrupt": self._interrupted,
            "dtmf": self._key_pressed,
            "error": self._error,
        }

    def events(self, message: Message) -> list[Mapped]:
        """Map a message from Twilio. Never raises."""
        return self._collected.of(self._received, message)

    def _received(self, message: Message) -> None:
        step = self._steps.get(str(message.get("type")))
        if step is not None:
            step(message)

    def sent(self, message: Message) -> list[Mapped]:
        """Map a message to Twilio: text for the bot to speak, digits, or a handoff. Never raises."""
        return self._collected.of(self._sent, message)

    def _sent(self, message: Message) -> None:
        kind = message.get("type")
        if kind == "text":
            self._token(str(message.get("token") or ""), last=bool(message.get("last")))
        elif kind == "sendDigits":
            self._notes.note("dtmf", by="bot", digits=str(message.get("digits")), event_id=self._id())
        elif kind == "end" and message.get("handoffData"):
            data = decoded(message["handoffData"])
            self._notes.note("handoff", to="twilio", data=data, event_id=self._id())

    def close(self, reason: str = "ended") -> list[Mapped]:
        """Return the last events, after the connection has ended."""
        return self._collected.of(self._close, reason)

    def _close(self, reason: str) -> None:
        if self._prompt:
            self._user_said(self._prompt, None)
        if self._tokens.strip():
            self._bot_said()
        self._notes.note("call.ended", reason=reason, event_id="call.ended")

    def _id(self) -> str:
        self._count += 1
        return f"tw-{self._count}"

    def _setup(self, message: Message) -> None:
        facts = {name: message.get(name) or None for name in ("callSid", "direction", "callType", "customParameters")}
        self._notes.note("call.started", framework="twilio", event_id=self._id(), **facts)

    def _prompted(self, message: Message) -> None:
        text = str(message.get("voicePrompt") or "")
        if message.get("last", True):
            self._user_said(text or self._prompt, message.get("lang"))
        else:
            self._prompt = text if text.startswith(self._prompt) else f"{self._prompt} {text}".strip()
            self._notes.heard_so_far("user", self._prompt)

    def _user_said(self, text: str, language: Any) -> None:
        self._prompt = ""
        self._user_silent_at = self._clock()
        turn = self._turns.user_has_said()
        self._notes.said("user", text.strip(), turn=turn, language=language, event_id=self._id())

    def _token(self, token: str, *, last: bool) -> None:
        if not self._tokens:
            self._said_at = self._clock()
            if self._user_silent_at is not None:
                took = round((self._said_at - self._user_silent_at) * 1000)
                self._user_silent_at = None
                self._notes.note("metrics.turn", turn=self._turns.current, llmMs=took, event_id=self._id())
        self._tokens += token
        self._notes.heard_so_far("bot", self._tokens, turn=self._turns.current)
        if last and self._tokens.strip():
            self._bot_said()

    def _bot_said(self) -> None:
        """Post the bot's utterance once all of it is sent. Twilio reports only what was not heard."""
        self._said, self._tokens = " ".join(self._tokens.split()), ""
        self._notes.said("bot", self._said, turn=self._turns.current, event_id=self._id())

    def _interrupted(self, message: Message) -> None:
        if self._tokens.strip():
            self._bot_said()
        heard = " ".join(str(message.get("utteranceUntilInterrupt") or "").split())
        played = message.get("durationUntilInterruptMs")
        whole = self._said
        unsaid = whole[whole.find(heard) + len(heard) :].strip() if heard and heard in whole else None
        at = self._said_at + float(played) / 1000 if played is not None else self._clock()
        self._notes.note(
            "interruption",
            by="user",
            turn=self._turns.current,
            atMs=self._notes.ms(at),
            heard=heard or None,
            unsaid=unsaid,
            event_id=self._id(),
        )

    def _key_pressed(self, message: Message) -> None:
        self._notes.note("dtmf", by="user", digits=str(message.get("digit")), event_id=self._id())

    def _error(self, message: Message) -> None:
        self._notes.note("error", message=message.get("description"), event_id=self._id())
