"""The LiveKit adapter, with plain objects that have the fields of LiveKit's events.

`frameworks` tests what LiveKit itself emits. Here are the cases that are hard to bring about there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from tests.adapters.mapping import Clock
from tests.adapters.recorder import Recorder
from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.livekit.binding import bind_to
from turnwire.adapters.livekit.call import LiveKitCall


class Session:
    """Emits events as an AgentSession does."""

    def __init__(self) -> None:
        self.handlers: dict[str, list[Callable[[Any], None]]] = {}
        self.output = SimpleNamespace(audio=self)
        self.options = SimpleNamespace(use_tts_aligned_transcript=True)
        self.current_agent = SimpleNamespace(use_tts_aligned_transcript=object())
        self.tts = SimpleNamespace(capabilities=SimpleNamespace(aligned_transcript=True))
        self.closing = False

    def _is_closing(self) -> bool:
        return self.closing

    def on(self, name: str, handler: Callable[[Any], None]) -> None:
        assert not asyncio.iscoroutinefunction(handler), "LiveKit takes no coroutines"
        self.handlers.setdefault(name, []).append(handler)

    def emit(self, event: str, **fields: Any) -> None:
        for handler in self.handlers.get(event, []):
            handler(SimpleNamespace(**fields))


class Job:
    """A JobContext whose shutdown a test begins."""

    def __init__(self) -> None:
        self.job = SimpleNamespace(id="AJ_1", room=SimpleNamespace(name="room"), agent_name="")
        self.room = Session()
        self.callbacks: list[Any] = []

    def add_shutdown_callback(self, callback: Any) -> None:
        self.callbacks.append(callback)


def message(role: str, text: str, *, interrupted: bool = False, **metrics: float) -> Any:
    return SimpleNamespace(
        type="message",
        role=role,
        text_content=text,
        interrupted=interrupted,
        metrics=metrics,
        transcript_confidence=None,
        id=f"item-{text}",
    )


def bound() -> tuple[Session, Job, Recorder]:
    session, job, told = Session(), Job(), Recorder()
    bind_to(session, job, told)
    return session, job, told


def cut_answer(session: Session, told: Recorder, *, synchronized: bool = True) -> dict[str, Any]:
    session.emit("agent_state_changed", new_state="speaking")
    session.emit("playback_finished", synchronized_transcript="Yes" if synchronized else None)
    session.emit("conversation_item_added", item=message("assistant", "Yes", interrupted=True))
    (cut,) = told.payloads("bot_speech")
    return cut


async def test_a_livekit_cut_is_exact_only_with_word_times_and_a_playback_position() -> None:
    session, _, told = bound()
    assert cut_answer(session, told)["heard"] == "exact"
    session, _, told = bound()
    assert cut_answer(session, told, synchronized=False)["heard"] == "unknown"
    session, _, told = bound()
    session.current_agent.use_tts_aligned_transcript = False
    assert cut_answer(session, told)["heard"] == "unknown"
    session, _, told = bound()
    session.tts = None  # type: ignore[assignment]
    assert cut_answer(session, told)["heard"] == "unknown"


async def test_the_user_cut_the_bot_unless_the_session_closed_in_silence() -> None:
    session, _, told = bound()
    session.closing = True
    assert cut_answer(session, told)["cutBy"] == "hangup"
    session, _, told = bound()
    session.closing = True
    session.emit("user_state_changed", new_state="speaking")
    assert cut_answer(session, told)["cutBy"] == "user"


async def test_transcripts_that_never_became_a_message_are_published_at_the_end() -> None:
    session, job, told = bound()
    heard = {"language": None, "speaker_id": "S1"}
    session.emit("user_input_transcribed", transcript="Never", is_final=True, **heard)
    session.emit("user_input_transcribed", transcript="mind", is_final=False, **heard)
    session.emit("close", reason="participant_disconnected", error=None)
    await job.callbacks[0]("")
    assert [one["text"] for one in told.hints("user_speech")] == ["Never", "Never mind"]
    assert told.payloads("user_speech") == [{"text": "Never", "turn": 1}]
    assert told.ended == ("completed", "participant_disconnected")


async def test_a_user_utterance_has_its_speaker_and_language() -> None:
    session, _, told = bound()
    session.emit("user_input_transcribed", transcript="Hallo", is_final=True, language="de", speaker_id="S1")
    session.emit("conversation_item_added", item=message("user", "Hallo"))
    assert told.payloads("user_speech") == [{"text": "Hallo", "turn": 1, "language": "de", "speaker": "S1"}]
    assert told.events[-1].event_id == "item-Hallo"


async def test_livekit_states_without_an_equivalent_are_left_out() -> None:
    session, _, told = bound()
    for state in ("initializing", "idle", "idle", "dreaming"):
        session.emit("agent_state_changed", new_state=state)
    session.emit("user_state_changed", new_state="away")
    assert [one["state"] for one in told.payloads("bot.state")] == ["idle"]
    assert [one["state"] for one in told.payloads("user.state")] == ["away"]


async def test_conversation_items_without_speech_are_left_out() -> None:
    session, _, told = bound()
    session.emit("conversation_item_added", item=message("system", "Be short."))
    session.emit("conversation_item_added", item=message("assistant", " "))
    session.emit("conversation_item_added", item=message("user", ""))
    session.emit("conversation_item_added", item=SimpleNamespace(type="unknown"))
    assert not told.payloads("user_speech", "bot_speech")


async def test_a_false_interruption_is_published_as_a_note() -> None:
    session, _, told = bound()
    session.emit("agent_false_interruption", resumed=True)
    assert told.payloads("interruption.false") == [{"event": "interruption.false", "resumed": True}]


def test_usage_of_voice_detectors_is_left_out() -> None:
    told, clock = Recorder(), Clock()
    call = LiveKitCall(CallNotes(told, clock=clock), is_closing=bool, has_word_times=bool)
    records = [
        SimpleNamespace(type="stt_usage", provider="p", model="m", audio_duration=1.23456),
        SimpleNamespace(type="eot_usage", provider="p", model="m", total_requests=7),
    ]
    call.used(SimpleNamespace(usage=SimpleNamespace(model_usage=records)))
    call.finish(clock(), "over")
    call.finish(clock(), "again")
    assert told.payloads("usage") == [
        {"event": "usage", "kind": "stt", "provider": "p", "model": "m", "audioSeconds": 1.235}
    ]
    assert told.payloads("call.ended") == [{"event": "call.ended", "reason": "over"}]


async def test_a_tool_that_raises_without_a_message_is_published_as_failed() -> None:
    session, _, told = bound()
    call = SimpleNamespace(call_id="t1", name="book", arguments="not JSON")
    started = SimpleNamespace(type="tool_call_started", function_call=call)
    ended = SimpleNamespace(type="tool_call_ended", call_id="t1", status="error", message=None)
    session.emit("tool_execution_updated", update=started, created_at=1.0)
    session.emit("tool_execution_updated", update=ended, created_at=1.5)
    session.emit("tool_execution_updated", update=SimpleNamespace(type="tool_reply_updated"), created_at=1.6)
    assert told.payloads("tool.started")[0]["arguments"] == "not JSON"
    assert told.payloads("tool.failed") == [
        {"event": "tool.failed", "name": "book", "callId": "t1", "durationMs": 500, "error": "it raised an error"}
    ]
