"""Whatever a vendor sends, a mapper that is part of a call never raises into it, and continues."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.adapters import openai_script
from tests.adapters.recorder import Recorder
from tests.adapters.vendor_messages import DEEPGRAM, DEEPGRAM_REQUEST
from turnwire import errors
from turnwire.adapters import Hint, deliver
from turnwire.adapters.deepgram import DeepgramMapper
from turnwire.adapters.mapped import Mapped
from turnwire.adapters.openai_agents import Listener
from turnwire.adapters.openai_realtime import RealtimeMapper
from turnwire.adapters.twilio import TwilioMapper
from turnwire.protocol.messages import EventIn

ODD: list[Any] = [None, 7, -1.5, True, "text", "", [], ["text", None], {}, {"id": 5}]
REALTIME = [
    message
    for _, message in [
        *openai_script.one_exchange(),
        *openai_script.barge_in(),
        (6.0, openai_script.function_call(50, "resp_1")),
        (6.5, openai_script.function_output(51)),
    ]
]
TWILIO: list[Any] = [
    {"type": "setup", "callSid": "CA1", "direction": "inbound", "customParameters": {"a": "b"}},
    {"type": "prompt", "voicePrompt": "Are you", "lang": "en-US", "last": False},
    {"type": "prompt", "voicePrompt": "Are you open?", "lang": "en-US", "last": True},
    {"type": "text", "token": "Yes, until six. ", "last": False},
    {"type": "interrupt", "utteranceUntilInterrupt": "Yes", "durationUntilInterruptMs": 700},
    {"type": "text", "token": "Shall I book a table?", "last": True},
    {"type": "dtmf", "digit": "5"},
    {"type": "sendDigits", "digits": "1#"},
    {"type": "error", "description": "no"},
    {"type": "end", "handoffData": '{"to": "desk"}'},
]
CONVERSATIONS: list[tuple[type[Any], list[Any]]] = [
    (RealtimeMapper, REALTIME),
    (DeepgramMapper, [*(message for _, message in DEEPGRAM), DEEPGRAM_REQUEST]),
    (TwilioMapper, TWILIO),
]


def altered(value: Any) -> Iterator[Any]:
    """The value with one part of it, at any depth, replaced by each odd one, or missing."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            for other in altered(value[key]):
                changed = copy.copy(value)
                changed[key] = other
                yield changed
            changed = copy.copy(value)
            del changed[key]
            yield changed
    yield from ODD


@pytest.mark.parametrize(("mapper", "messages"), CONVERSATIONS, ids=lambda given: getattr(given, "__name__", ""))
def test_a_mapper_raises_for_no_message_and_continues_after_it(mapper: type[Any], messages: list[Any]) -> None:
    for number, message in enumerate(messages):
        for odd in altered(message):
            mapping, told = mapper(), Recorder()
            for one in [*messages[:number], odd, *messages[number:]]:
                deliver(told, mapping.events(one))
                if hasattr(mapping, "sent"):
                    deliver(told, mapping.sent(one))
            deliver(told, mapping.close("over"))
            assert told.payloads("call.ended"), odd


def test_a_message_that_cannot_be_read_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    mapper = TwilioMapper()
    for _ in range(3):
        assert mapper.events(["no", "message"]) == []  # type: ignore[arg-type] # that is the point
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage() == "a message was not recorded, or not all of it: ['no', 'message']"
    assert record.exc_info


def test_events_of_a_session_that_cannot_be_read_do_not_end_its_loop(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener(Recorder())
    listener(None)
    listener(SimpleNamespace(type="guardrail_tripped", guardrail_results=5))
    assert "was not recorded" in caplog.text


def test_an_event_that_a_publisher_refuses_is_logged_and_the_others_are_delivered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Strict(Recorder):
        def post(self, type: Any, payload: Any, **options: Any) -> str:
            if "text" in payload:
                raise errors.InvalidEvent("5000 bytes exceed the gateway's limit of 4096")
            return super().post(type, payload, **options)

    told = Strict()
    items: list[Mapped] = [
        EventIn("e1", "bot_speech", {"text": "x"}),
        Hint("bot_speech", {}),
        EventIn("e2", "system", {}),
    ]
    deliver(told, items)
    assert told.items == items[1:]
    assert "an event was not queued: 5000 bytes exceed the gateway's limit of 4096" in caplog.text
