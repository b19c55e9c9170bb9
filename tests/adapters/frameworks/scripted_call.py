"""The call that the bots of all frameworks play, and what an adapter must make of it."""

from __future__ import annotations

from typing import Any

from tests.adapters.recorder import Recorder
from turnwire import Client

GREETING = "Hello there my friend."
QUESTION = "Are you open?"
ANSWER = "It is open until six today. Do you want me to book a table for you?"


def nothing() -> None:
    """What a test does in the middle of an answer unless it has something to do."""


def check_conversation(told: Recorder) -> dict[str, Any]:
    """Check the texts, turns and times of greeting, question and answer. Return the question's payload."""
    greeting, answer = told.payloads("bot_speech")
    (question,) = told.payloads("user_speech")
    assert (greeting["text"], greeting["turn"]) == (GREETING, 0)
    assert (question["text"], question["turn"]) == (QUESTION, 1)
    assert (answer["text"], answer["turn"]) == (ANSWER, 1)
    assert "interrupted" not in answer
    assert greeting["startedMs"] < greeting["endedMs"] <= question["startedMs"] < question["endedMs"]
    assert question["endedMs"] < answer["startedMs"] < answer["endedMs"]
    return question


def check_tool_that_answers(told: Recorder) -> None:
    """Check the events of a tool that finds a free table after 50 ms."""
    (started,), (completed,) = told.payloads("tool.started"), told.payloads("tool.completed")
    assert started == {
        "event": "tool.started",
        "name": "free_tables",
        "callId": "call-1",
        "arguments": {"day": "today"},
    }
    assert completed["result"] == {"free": ["18:00"]}
    assert 45 <= completed["durationMs"] < 2000


async def texts(url: str, session_id: str) -> list[str]:
    """Return the texts of a session's events, in order."""
    async with Client(url) as client:
        return [event.payload["text"] async for event in client.export(session_id) if "text" in event.payload]
