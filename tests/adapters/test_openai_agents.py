"""The listener of the OpenAI Agents SDK, with a model that says what a test tells it to say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.adapters import openai_script as script
from tests.adapters.recorder import Recorder
from turnwire.adapters.openai_agents import Listener, listen


class Model:
    """Has the method of a RealtimeModel that is used."""

    def __init__(self) -> None:
        self.listener: Listener | None = None

    def add_listener(self, listener: Listener) -> None:
        self.listener = listener

    async def emit(self, kind: str, **fields: Any) -> None:
        assert self.listener is not None
        await self.listener.on_event(SimpleNamespace(type=kind, **fields))


def listening() -> tuple[Model, Listener, Recorder]:
    model, told = Model(), Recorder()
    return model, listen(model, told), told


async def test_events_of_the_agents_sdk_model_are_published() -> None:
    model, _, told = listening()
    for _, message in script.one_exchange():
        await model.emit("raw_server_event", data=message)
        await model.emit("audio", data=b"")
    assert [one["text"] for one in told.payloads("bot_speech")] == [script.ANSWER]
    assert [one["text"] for one in told.payloads("user_speech")] == ["Are you open?"]


async def test_the_end_of_the_stream_is_published_once_and_an_exception_as_an_error() -> None:
    model, _, told = listening()
    await model.emit("exception", exception=ConnectionResetError("gone"))
    await model.emit("end_of_stream")
    await model.emit("end_of_stream")
    assert told.payloads("error") == [{"event": "error", "message": "gone", "code": "ConnectionResetError"}]
    assert told.payloads("call.ended") == [{"event": "call.ended", "reason": "disconnected"}]


def test_handoffs_and_tripped_guardrails_are_published() -> None:
    _, told_of_session, told = listening()
    agents = {"from_agent": SimpleNamespace(name="Reception"), "to_agent": SimpleNamespace(name="Billing")}
    told_of_session(SimpleNamespace(type="handoff", **agents))
    result = SimpleNamespace(guardrail=SimpleNamespace(name="no prices"))
    told_of_session(SimpleNamespace(type="guardrail_tripped", guardrail_results=[result], message="That is"))
    told_of_session(SimpleNamespace(type="history_added"))
    assert told.payloads() == [
        {"event": "handoff", "from": "Reception", "to": "Billing"},
        {"event": "guardrail", "name": "no prices", "message": "That is"},
    ]


async def test_an_event_the_listener_cannot_read_does_not_disturb_the_model(caplog: pytest.LogCaptureFixture) -> None:
    model, _, told = listening()
    await model.emit("raw_server_event")
    await model.emit("raw_server_event", data=script.created())
    assert "was not recorded" in caplog.text
    assert told.payloads("call.started")
