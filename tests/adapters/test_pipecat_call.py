"""The Pipecat adapter, with plain objects that have the names and fields of Pipecat's frames.

`frameworks` tests what Pipecat itself emits. Here are the orders of frames that are hard to bring about there.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.adapters.mapping import Clock
from tests.adapters.recorder import Recorder
from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.pipecat.call import PipecatCall


class Pipeline:
    """A call whose frames a test makes, each at a second."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.told = Recorder()
        self.call = PipecatCall(CallNotes(self.told, clock=self.clock), services=["LLM"])
        self._ids = 0

    def frame(self, seconds: float, name: str, **fields: Any) -> Any:
        self.clock.seconds = seconds
        self._ids += 1
        kind = type(name, (SimpleNamespace,), {})
        frame = kind(id=self._ids, **fields)
        step = self.call.step_for(kind)
        assert step is not None, name
        step(frame, self.clock())
        return frame

    def voiced(self, seconds: float, text: str, *, context: str = "c", timed: bool = True, glued: bool = False) -> Any:
        return self.frame(
            seconds,
            "TTSTextFrame",
            text=text,
            context_id=context,
            pts=1 if timed else None,
            includes_inter_frame_spaces=glued,
        )

    def announced(self, seconds: float, text: str, *, context: str = "c") -> None:
        self.frame(seconds, "AggregatedTextFrame", text=text, context_id=context, will_be_spoken=True)

    def played(self, seconds: float, *frames: Any) -> None:
        self.clock.seconds = seconds
        for frame in frames:
            self.call.text_played(frame, self.clock())

    def user_says(self, seconds: float, text: str) -> None:
        self.frame(seconds, "UserStartedSpeakingFrame")
        self.frame(seconds + 0.5, "UserStoppedSpeakingFrame")
        self.frame(seconds + 0.5, "LLMContextUserTurnFrame", text=text)

    def finish(self, seconds: float) -> tuple[str, str]:
        self.clock.seconds = seconds
        return self.call.finish(self.clock())

    @property
    def said_by_bot(self) -> list[dict[str, Any]]:
        return self.told.payloads("bot_speech")


def test_a_pipecat_frame_is_recognized_by_its_base_class() -> None:
    call = Pipeline().call
    text = type("TextFrame", (), {})
    special = type("OurTranscriptionFrame", (type("TranscriptionFrame", (text,), {}),), {})
    assert call.step_for(special) is not None
    assert call.step_for(text) is None


def test_two_sentences_that_play_one_after_the_other_are_two_utterances() -> None:
    line = Pipeline()
    for context, text in (("a", "One moment."), ("b", "Here it is.")):
        line.announced(1.0, text, context=context)
    first = line.voiced(1.0, "One moment.", context="a")
    second = line.voiced(1.1, "Here it is.", context="b")
    line.frame(1.2, "BotStartedSpeakingFrame")
    line.played(1.3, first)
    line.frame(2.0, "BotStoppedSpeakingFrame")
    line.frame(2.1, "BotStartedSpeakingFrame")
    line.played(2.2, second)
    line.frame(3.0, "BotStoppedSpeakingFrame")
    assert [(one["text"], one["startedMs"], one["endedMs"]) for one in line.said_by_bot] == [
        ("One moment.", 1200, 2000),
        ("Here it is.", 2100, 3000),
    ]


def test_a_word_that_leaves_the_transport_late_belongs_to_its_utterance() -> None:
    line = Pipeline()
    words = [line.voiced(1.0, word) for word in ("Hello", "there")]
    line.frame(1.0, "BotStartedSpeakingFrame")
    line.played(1.1, words[0])
    line.frame(2.0, "BotStoppedSpeakingFrame")
    line.played(2.1, words[1])
    assert [one["text"] for one in line.said_by_bot] == ["Hello there"]


def test_words_with_their_own_spaces_get_no_further_spaces() -> None:
    line = Pipeline()
    line.frame(1.0, "BotStartedSpeakingFrame")
    line.played(1.1, *(line.voiced(1.0, piece, glued=True) for piece in ("Hel", "lo", " there")))
    line.frame(2.0, "BotStoppedSpeakingFrame")
    assert line.said_by_bot[0]["text"] == "Hello there"


def test_text_the_model_was_still_writing_counts_as_unsaid() -> None:
    line = Pipeline()
    line.frame(0.9, "LLMFullResponseStartFrame")
    for text in ("Yes, until six. ", "Shall I"):
        line.frame(1.0, "LLMTextFrame", text=text)
    line.announced(1.0, "Yes, until six.")
    line.frame(1.1, "BotStartedSpeakingFrame")
    line.played(1.2, *[line.voiced(1.0, word) for word in ("Yes,", "until")])
    line.frame(2.0, "InterruptionFrame")
    (cut,) = line.said_by_bot
    assert (cut["text"], cut["unsaid"], cut["heard"]) == ("Yes, until", "six. Shall I", "exact")


def test_an_interruption_after_the_last_word_does_not_cut_the_utterance() -> None:
    line = Pipeline()
    line.announced(1.0, "Yes.")
    line.frame(1.1, "BotStartedSpeakingFrame")
    line.played(1.2, line.voiced(1.0, "Yes."))
    line.frame(1.3, "InterruptionFrame")
    assert line.said_by_bot == [{"text": "Yes.", "turn": 0, "startedMs": 1100, "endedMs": 1300}]
    assert not line.told.payloads("interruption")


def test_an_interruption_while_the_bot_thinks_discards_the_answer() -> None:
    line = Pipeline()
    line.announced(1.0, "Yes, until six.")
    line.frame(1.1, "InterruptionFrame")
    line.announced(2.0, "Sure.")
    line.frame(2.1, "BotStartedSpeakingFrame")
    line.played(2.2, line.voiced(2.0, "Sure."))
    line.frame(2.3, "BotStoppedSpeakingFrame")
    assert [one["text"] for one in line.said_by_bot] == ["Sure."]


def test_an_answer_cut_before_its_first_word_gives_its_text_to_the_interruption() -> None:
    line = Pipeline()
    line.announced(1.0, "Yes, until six.")
    line.voiced(1.0, "Yes,")
    line.frame(1.1, "BotStartedSpeakingFrame")
    line.frame(1.2, "InterruptionFrame")
    assert not line.said_by_bot
    assert line.told.payloads("interruption")[0]["unsaid"] == "Yes, until six."


def test_a_voice_without_text_frames_is_published_by_its_announced_text() -> None:
    line = Pipeline()
    line.announced(1.0, "Yes.")
    line.frame(1.1, "BotStartedSpeakingFrame")
    line.frame(2.0, "BotStoppedSpeakingFrame")
    assert line.said_by_bot[0]["text"] == "Yes."


def test_a_bot_that_writes_is_published_from_its_context() -> None:
    line = Pipeline()
    line.frame(1.0, "InputTextRawFrame", text="Are you open?")
    line.frame(1.5, "LLMContextAssistantTurnFrame", text="Yes.")
    assert line.told.payloads("user_speech") == [{"text": "Are you open?", "turn": 1, "source": "chat"}]
    assert line.said_by_bot == [{"text": "Yes.", "turn": 1}]


def test_without_aggregators_transcriptions_are_published_when_the_bot_answers() -> None:
    line = Pipeline()
    for text in ("Are you", "open?"):
        line.frame(1.0, "TranscriptionFrame", text=text, language="en")
    line.frame(2.0, "BotStartedSpeakingFrame")
    assert line.told.payloads("user_speech") == [{"text": "Are you open?", "turn": 1, "language": "en"}]


def test_the_last_transcription_is_published_when_the_caller_hangs_up() -> None:
    line = Pipeline()
    line.frame(1.0, "TranscriptionFrame", text="Never mind", language=None)
    line.frame(1.1, "CancelFrame", reason=None)
    assert line.finish(1.2) == ("completed", "cancelled")
    assert line.told.payloads("user_speech")[0]["text"] == "Never mind"


def test_a_pipecat_backchannel_does_not_count_as_a_turn() -> None:
    line = Pipeline()
    line.user_says(1.0, "Are you open?")
    line.frame(2.0, "UserBackchannelFrame", text="mhm")
    question, mhm = line.told.payloads("user_speech")
    assert (question["turn"], mhm["turn"], mhm["source"]) == (1, 1, "backchannel")


def test_functions_run_by_a_provider_are_published_as_tools() -> None:
    line = Pipeline()
    call = {"tool_call_id": "t1", "function_name": "search"}
    line.frame(1.0, "ExternalFunctionCallsStartedFrame", function_calls=[SimpleNamespace(**call)])
    line.frame(1.1, "ExternalFunctionCallInProgressFrame", **call, arguments={"q": 1})
    line.frame(1.5, "ExternalFunctionCallResultFrame", **call, result="found", is_final=True)
    (completed,) = line.told.payloads("tool.completed")
    assert (completed["result"], completed["durationMs"]) == ("found", 400)
    assert len(line.told.payloads("tool.started")) == 1


@pytest.mark.parametrize(
    ("frame", "fields", "end"),
    [
        ("EndFrame", {"reason": None}, ("completed", "ended")),
        ("EndFrame", {"reason": "goodbye"}, ("completed", "goodbye")),
        ("StopFrame", {}, ("completed", "stopped")),
        ("CancelFrame", {"reason": "x" * 300}, ("completed", "x" * 256)),
    ],
)
def test_the_last_frame_gives_the_reason_of_the_end(frame: str, fields: dict[str, Any], end: tuple[str, str]) -> None:
    line = Pipeline()
    line.frame(1.0, frame, **fields)
    assert line.finish(2.0) == end
    assert line.finish(3.0) == end
    assert [one["reason"] for one in line.told.payloads("call.ended")] == [end[1]]


def test_a_fatal_pipecat_error_makes_the_session_failed() -> None:
    line = Pipeline()
    line.frame(1.0, "ErrorFrame", error="no voice", fatal=True, processor=None)
    assert line.finish(2.0) == ("failed", "cancelled")


def test_pipecat_usage_is_summed_up_until_the_user_has_spoken() -> None:
    line = Pipeline()
    characters = type("TTSUsageMetricsData", (SimpleNamespace,), {})
    seconds = type("STTUsageMetricsData", (SimpleNamespace,), {})
    line.frame(1.0, "MetricsFrame", data=[characters(processor="Voice#0", model="v", value=10)] * 2)
    heard = seconds(processor="Ear#0", model=None, value=SimpleNamespace(audio_seconds=1.5))
    line.frame(1.1, "MetricsFrame", data=[heard, SimpleNamespace()])
    line.user_says(2.0, "Hi")
    assert line.told.payloads("usage") == [
        {"event": "usage", "kind": "tts", "provider": "Voice", "model": "v", "characters": 20},
        {"event": "usage", "kind": "stt", "provider": "Ear", "audioSeconds": 1.5},
    ]


def test_the_parts_of_pipecats_latency_become_stages() -> None:
    line = Pipeline()
    parts = [("endpointing_wait", 0.2), ("llm_inference", 0.3), ("llm_tool_call", 0.1), ("pipeline", 0.01)]
    contributions = [SimpleNamespace(key=key, duration_secs=seconds) for key, seconds in parts]
    line.call.latency_measured(
        SimpleNamespace(contributions=contributions, measured_from="user_silence", total_secs=0.61)
    )
    line.call.latency_measured(
        SimpleNamespace(contributions=contributions[:1], measured_from="client_connected", total_secs=0.2)
    )
    measured, greeting = line.told.payloads("metrics.turn")
    assert measured == {
        "event": "metrics.turn",
        "turn": 0,
        "endpointingMs": 200,
        "llmMs": 400,
        "responseMs": 610,
    }
    assert "responseMs" not in greeting


def test_an_utterance_cut_by_a_supervisor_is_marked_and_counts_as_no_interruption_by_a_side() -> None:
    pipeline = Pipeline()
    pipeline.announced(1.0, "It is open until six.")
    words = [pipeline.voiced(1.0, word) for word in ["It", "is", "open", "until", "six."]]
    pipeline.frame(1.1, "BotStartedSpeakingFrame")
    pipeline.played(1.2, *words[:2])
    pipeline.frame(1.3, "SupervisorInterruptionFrame")
    (cut,) = pipeline.told.payloads("bot_speech")
    assert (cut["text"], cut["unsaid"], cut["cutBy"]) == ("It is", "open until six.", "supervisor")
    assert pipeline.told.payloads("interruption")[0]["by"] == "supervisor"
