"""Commands in a LiveKit session, as plain objects with the same methods. The real one is tested in `frameworks`."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.adapters.recorder import Recorder
from tests.adapters.test_livekit_call import Job, Session, message
from turnwire.adapters.livekit import speaker as livekit_speaker
from turnwire.adapters.livekit.binding import bind_to


class Context:
    """A chat context."""

    def __init__(self, messages: list[tuple[str, str]] | None = None) -> None:
        self.messages = list(messages or [])

    def copy(self) -> Context:
        return Context(self.messages)

    def add_message(self, *, role: str, content: str) -> None:
        self.messages.append((role, content))


class TalkingSession(Session):
    """Notes what it is asked to do. Speech is over at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []
        self.cuts_in = False
        self.closes = True
        self.current_agent = SimpleNamespace(chat_ctx=Context(), update_chat_ctx=self._update)

    async def _update(self, context: Context) -> None:
        self.asked.append(("context", context.messages))

    def generate_reply(self) -> None:
        self.asked.append("reply")

    async def interrupt(self, *, force: bool) -> None:
        self.asked.append(("interrupt", force))
        self.emit("agent_state_changed", new_state="listening")
        self.emit("conversation_item_added", item=message("assistant", "Yes", interrupted=True))

    def say(self, text: str, *, allow_interruptions: bool) -> Any:
        self.asked.append(("say", text, allow_interruptions))

        async def played() -> None:
            await asyncio.sleep(0)

        return SimpleNamespace(wait_for_playout=played, interrupted=self.cuts_in)

    def shutdown(self, *, drain: bool) -> None:
        self.asked.append(("shutdown", drain))
        if self.closes:
            self.emit("close", reason="user_initiated", error=None)


class EndingJob(Job):
    def __init__(self) -> None:
        super().__init__()
        self.ended: list[str] = []

    def shutdown(self, *, reason: str) -> None:
        self.ended.append(reason)


def bound() -> tuple[TalkingSession, EndingJob, Recorder]:
    session, job, told = TalkingSession(), EndingJob(), Recorder()
    bind_to(session, job, told)
    return session, job, told


async def test_a_whisper_goes_into_the_context_and_is_answered_only_when_asked_for() -> None:
    session, _, told = bound()
    await told.asked("whisper", text="offer 10 %")
    assert session.asked == [("context", [("system", "offer 10 %")])]
    await told.asked("whisper", text="now", respond=True)
    assert session.asked[1:] == [("context", [("system", "now")]), "reply"]


async def test_an_utterance_cut_by_a_supervisor_is_marked_and_the_next_one_is_not() -> None:
    session, _, told = bound()
    session.emit("agent_state_changed", new_state="speaking")
    await told.asked("say", text="One moment.", interrupt=True, interruptible=False)
    assert session.asked == [("interrupt", True), ("say", "One moment.", False)]
    session.emit("agent_state_changed", new_state="speaking")
    session.emit("conversation_item_added", item=message("assistant", "One moment.", interrupted=True))
    assert [one["cutBy"] for one in told.payloads("bot_speech")] == ["supervisor", "user"]
    assert [one["by"] for one in told.payloads("interruption")] == ["supervisor", "user"]


async def test_an_interruption_while_the_bot_is_silent_cuts_nothing() -> None:
    _, _, told = bound()
    await told.asked("whisper", text="hint", interrupt=True)
    assert [one["cutBy"] for one in told.payloads("bot_speech")] == ["user"]


@pytest.mark.parametrize("cuts_in", [True, False])
async def test_the_answer_says_when_the_caller_has_cut_in(cuts_in: bool) -> None:
    session, job, told = bound()
    session.cuts_in = cuts_in
    assert await told.asked("say", text="Hello") == ("interrupted" if cuts_in else None)
    assert job.ended == []


@pytest.mark.parametrize(
    ("command", "payload", "said", "reason"),
    [
        ("end", {"say": "Goodbye.", "reason": "shift over"}, [("say", "Goodbye.", False)], "shift over"),
        ("end", {}, [], "supervisor"),
        ("say", {"text": "Goodbye.", "end": True}, [("say", "Goodbye.", True)], "supervisor"),
    ],
)
async def test_a_supervisor_ends_the_job_after_the_session_has_drained(
    command: str, payload: dict[str, Any], said: list[Any], reason: str
) -> None:
    session, job, told = bound()
    await told.asked(command, **payload)
    assert session.asked == [*said, ("shutdown", True)]
    assert job.ended == [reason]
    (leave,) = job.callbacks
    await leave(reason)
    assert told.ended == ("completed", reason)
    assert told.payloads("call.ended")[0]["reason"] == reason


async def test_a_session_that_does_not_close_does_not_keep_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livekit_speaker, "DRAINS_WITHIN", 0.01)
    session, job, told = bound()
    session.closes = False
    await told.asked("end")
    assert job.ended == ["supervisor"]


def test_commands_may_be_left_out() -> None:
    told = Recorder()
    bind_to(Session(), Job(), told, commands=False)
    assert told.handlers == {}
