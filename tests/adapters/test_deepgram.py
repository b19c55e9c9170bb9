"""The Deepgram adapter: which events its messages become."""

from __future__ import annotations

from typing import Any

from tests.adapters.mapping import Clock, mapped
from tests.adapters.recorder import Recorder
from tests.adapters.vendor_messages import DEEPGRAM, DEEPGRAM_REQUEST
from turnwire.adapters import deliver
from turnwire.adapters.deepgram import DeepgramMapper

SECOND = bytes(48_000)


def of(messages: list[tuple[float, Any]]) -> Recorder:
    clock = Clock()
    return mapped(DeepgramMapper(clock=clock), clock, messages)


def with_audio() -> list[tuple[float, Any]]:
    """The answer with two seconds of audio."""
    return [*DEEPGRAM[:6], (3.0, SECOND), (3.05, SECOND), *DEEPGRAM[6:]]


def test_a_deepgram_exchange_has_texts_a_turn_and_the_known_times() -> None:
    told = of(with_audio())
    assert told.payloads("user_speech") == [{"text": "Are you open?", "turn": 1, "startedMs": 1000, "language": "en"}]
    assert told.payloads("bot_speech") == [
        {"text": "Yes, until six. Shall I book a table?", "turn": 1, "startedMs": 3000, "endedMs": 5000}
    ]
    assert told.payloads("metrics.turn") == [
        {"event": "metrics.turn", "turn": 1, "llmMs": 300, "ttsMs": 200, "responseMs": 600}
    ]
    assert [hint["text"] for hint in told.hints("bot_speech")][-1] == "Yes, until six. Shall I book a table?"


def test_a_deepgram_answer_without_its_audio_has_no_end_time() -> None:
    assert "endedMs" not in of(list(DEEPGRAM)).payloads("bot_speech")[0]


def test_a_user_who_speaks_while_the_answer_plays_interrupts_the_answer() -> None:
    told = of([*with_audio(), (4.0, {"type": "UserStartedSpeaking"})])
    assert told.payloads("interruption") == [{"event": "interruption", "by": "user", "turn": 1, "atMs": 4000}]


def test_a_user_who_speaks_before_the_whole_answer_has_arrived_cuts_the_answer() -> None:
    told = of([*with_audio()[:-1], (4.0, {"type": "UserStartedSpeaking"})])
    (cut,) = told.payloads("bot_speech")
    assert (cut["interrupted"], cut["cutBy"], cut["heard"], cut["endedMs"]) == (True, "user", "unknown", 4000)


def test_a_user_who_speaks_after_the_answer_does_not_interrupt() -> None:
    assert not of([*with_audio(), (5.5, {"type": "UserStartedSpeaking"})]).payloads("interruption")


def test_a_deepgram_backchannel_does_not_count_as_a_turn() -> None:
    mhm = {"type": "ConversationText", "role": "user", "content": "mhm", "conversational_behavior": "backchannel"}
    spoken = of([*with_audio(), (4.0, mhm)]).payloads("user_speech")[1]
    assert spoken == {"text": "mhm", "turn": 1, "source": "backchannel"}


def test_deepgram_functions_end_with_a_response_from_either_side_or_are_cancelled() -> None:
    clock = Clock()
    mapper = DeepgramMapper(clock=clock)
    answer = {"type": "FunctionCallResponse", "id": "f1", "name": "free_tables", "content": '{"free": 1}'}
    told = mapped(mapper, clock, [(1.0, DEEPGRAM_REQUEST)])
    clock.seconds = 1.5
    deliver(told, mapper.sent(answer))
    deliver(told, mapper.events(answer))  # the answer is over
    assert told.payloads("tool.started")[0]["arguments"] == {"day": "today"}
    assert told.payloads("tool.completed") == [
        {
            "event": "tool.completed",
            "name": "free_tables",
            "callId": "f1",
            "durationMs": 500,
            "result": {"free": 1},
        }
    ]
    by_server = of([(1.0, DEEPGRAM_REQUEST), (2.0, {**answer, "id": None})])
    assert by_server.payloads("tool.completed")[0]["callId"] == "f1"
    cancelled = {"type": "FunctionCallCancelled", "functions": [{"id": "f1", "name": "free_tables"}]}
    assert of([(1.0, DEEPGRAM_REQUEST), (1.2, cancelled)]).payloads("tool.cancelled")[0]["durationMs"] == 200


def test_deepgram_errors_and_warnings_become_different_events() -> None:
    facts = {"description": "too busy", "code": "BUSY"}
    told = of([(0.0, {"type": "Error", **facts}), (0.1, {"type": "Warning", **facts}), (0.2, {"type": "New"})])
    assert told.payloads("error") == [{"event": "error", "message": "too busy", "code": "BUSY"}]
    assert told.payloads("warning") == [{"event": "warning", "message": "too busy", "code": "BUSY"}]


def test_a_hang_up_keeps_the_last_words_and_cancels_running_functions() -> None:
    clock = Clock()
    mapper = DeepgramMapper(clock=clock)
    told = mapped(mapper, clock, [*with_audio()[:-1], (3.5, DEEPGRAM_REQUEST)])
    clock.seconds = 4.0
    deliver(told, mapper.close("user_hangup"))
    (cut,) = told.payloads("bot_speech")
    assert (cut["cutBy"], cut["endedMs"]) == ("hangup", 4000)
    assert told.payloads("tool.cancelled")[0]["callId"] == "f1"
    assert told.payloads("call.ended") == [{"event": "call.ended", "reason": "user_hangup"}]


def test_mapping_the_same_deepgram_messages_again_gives_the_same_ids() -> None:
    first, second = of(with_audio()), of(with_audio())
    assert [event.event_id for event in first.events] == [event.event_id for event in second.events]
    assert len({event.event_id for event in first.events}) == len(first.events)
