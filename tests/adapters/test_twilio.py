"""The Twilio adapter: which events the messages of both sides become."""

from __future__ import annotations

from typing import Any

from tests.adapters.mapping import Clock
from tests.adapters.recorder import Recorder
from turnwire.adapters import deliver
from turnwire.adapters.twilio import TwilioMapper

SETUP = {"type": "setup", "callSid": "CA1", "sessionId": "VX1", "direction": "inbound", "customParameters": {"a": "b"}}
ANSWER = "Yes, until six. Shall I book a table?"


class Relay:
    """A call, as messages of both sides at their seconds."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.mapper = TwilioMapper(clock=self.clock)
        self.told = Recorder()

    def gets(self, seconds: float, **message: Any) -> None:
        self.clock.seconds = seconds
        deliver(self.told, self.mapper.events(message))

    def sends(self, seconds: float, **message: Any) -> None:
        self.clock.seconds = seconds
        deliver(self.told, self.mapper.sent(message))

    def exchange(self) -> None:
        self.gets(0.0, **SETUP)
        self.gets(1.0, type="prompt", voicePrompt="Are you", lang="en-US", last=False)
        self.gets(2.0, type="prompt", voicePrompt="Are you open?", lang="en-US", last=True)
        self.sends(2.6, type="text", token="Yes, until six. ", last=False)
        self.sends(2.7, type="text", token="Shall I book a table?", last=True)


def test_a_twilio_exchange_has_texts_and_a_turn() -> None:
    relay = Relay()
    relay.exchange()
    assert relay.told.payloads("call.started")[0]["callSid"] == "CA1"
    assert relay.told.payloads("user_speech") == [{"text": "Are you open?", "turn": 1, "language": "en-US"}]
    assert relay.told.payloads("bot_speech") == [{"text": ANSWER, "turn": 1}]
    assert relay.told.payloads("metrics.turn") == [{"event": "metrics.turn", "turn": 1, "llmMs": 600}]
    assert [hint["text"] for hint in relay.told.hints("user_speech")] == ["Are you"]
    assert relay.told.hints("bot_speech")[0]["text"] == "Yes, until six. "


def test_partial_twilio_prompts_are_joined() -> None:
    relay = Relay()
    relay.gets(1.0, type="prompt", voicePrompt="Are you", last=False)
    relay.gets(1.5, type="prompt", voicePrompt="open?", last=False)
    deliver(relay.told, relay.mapper.close())
    assert relay.told.payloads("user_speech")[0]["text"] == "Are you open?"


def test_a_twilio_interruption_has_the_heard_and_the_unsaid_text() -> None:
    relay = Relay()
    relay.exchange()
    relay.gets(4.0, type="interrupt", utteranceUntilInterrupt="Yes, until six.", durationUntilInterruptMs=1200)
    assert relay.told.payloads("interruption") == [
        {
            "event": "interruption",
            "by": "user",
            "turn": 1,
            "atMs": 3800,
            "heard": "Yes, until six.",
            "unsaid": "Shall I book a table?",
        }
    ]


def test_an_answer_cut_while_it_is_being_sent_is_published() -> None:
    relay = Relay()
    relay.sends(1.0, type="text", token="Yes, until six. Shall", last=False)
    relay.gets(2.0, type="interrupt", utteranceUntilInterrupt="Yes,", durationUntilInterruptMs=400)
    assert relay.told.payloads("bot_speech")[0]["text"] == "Yes, until six. Shall"
    assert relay.told.payloads("interruption")[0]["unsaid"] == "until six. Shall"


def test_twilio_keys_handoffs_and_errors_are_published() -> None:
    relay = Relay()
    relay.gets(1.0, type="dtmf", digit="5")
    relay.sends(2.0, type="sendDigits", digits="1#")
    relay.gets(3.0, type="error", description="no voice")
    relay.sends(4.0, type="end", handoffData='{"reason": "human"}')
    relay.gets(5.0, type="dreamed")
    assert [(one["by"], one["digits"]) for one in relay.told.payloads("dtmf")] == [("user", "5"), ("bot", "1#")]
    assert relay.told.payloads("error")[0]["message"] == "no voice"
    assert relay.told.payloads("handoff")[0]["data"] == {"reason": "human"}


def test_a_hang_up_publishes_the_answer_that_was_being_sent() -> None:
    relay = Relay()
    relay.sends(1.0, type="text", token="Yes, until", last=False)
    deliver(relay.told, relay.mapper.close("user_hangup"))
    assert relay.told.payloads("bot_speech")[0]["text"] == "Yes, until"
    assert relay.told.payloads("call.ended")[0]["reason"] == "user_hangup"
