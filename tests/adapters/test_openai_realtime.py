"""The OpenAI Realtime adapter: which events its server's messages become."""

from __future__ import annotations

import pytest

from tests.adapters import openai_script as script
from tests.adapters.mapping import Clock, mapped
from tests.adapters.recorder import Recorder
from turnwire.adapters import deliver
from turnwire.adapters.openai_realtime import RealtimeMapper


def of(messages: script.Script) -> Recorder:
    clock = Clock()
    return mapped(RealtimeMapper(clock=clock), clock, messages)


def test_an_openai_exchange_has_texts_times_and_a_turn_although_the_transcript_comes_last() -> None:
    told = of(script.one_exchange())
    (question,), (answer,) = told.payloads("user_speech"), told.payloads("bot_speech")
    assert question == {"text": "Are you open?", "turn": 1, "startedMs": 1000, "endedMs": 2000}
    assert answer == {"text": script.ANSWER, "turn": 1, "startedMs": 2700, "endedMs": 6700}
    assert told.payloads("metrics.turn") == [{"event": "metrics.turn", "turn": 1, "responseMs": 700}]
    assert told.payloads("call.started")[0]["model"] == "gpt-realtime"


def test_interim_texts_of_openai_are_published_as_hints() -> None:
    told = of(
        [
            *script.one_exchange()[:3],
            (
                2.55,
                script.event(
                    "conversation.item.input_audio_transcription.delta", 90, item_id="item_u1", delta="Are you"
                ),
            ),
            *script.one_exchange()[3:],
        ]
    )
    assert [hint["text"] for hint in told.hints("user_speech")] == ["Are you"]
    assert [hint["text"] for hint in told.hints("bot_speech")] == ["Yes, until six.", script.ANSWER]


def test_openai_speaker_states_are_published_only_when_they_change() -> None:
    told = of([*script.one_exchange(), (8.0, script.event("rate_limits.updated", 95)), *script.barge_in()])
    states = [(event.payload["event"], event.payload["state"]) for event in told.events if "state" in event.payload]
    assert states[:5] == [
        ("user.state", "speaking"),
        ("user.state", "listening"),
        ("bot.state", "thinking"),
        ("bot.state", "speaking"),
        ("bot.state", "listening"),
    ]


def test_a_truncated_answer_ends_where_its_playback_was_cut() -> None:
    told = of([*script.one_exchange(), *script.barge_in()])
    (interruption,) = told.payloads("interruption")
    assert interruption == {"event": "interruption", "by": "user", "turn": 1, "atMs": 4100}
    assert told.payloads("user_speech")[1] == {
        "text": "No, thanks.",
        "turn": 2,
        "startedMs": 4000,
        "endedMs": 4500,
    }


def test_an_answer_cut_during_generation_ends_at_once_and_its_heard_text_is_unknown() -> None:
    messages = [
        *script.one_exchange()[:8],
        (3.2, script.message_done(9, "resp_1", "item_b1", "Yes, until six.", status="incomplete")),
    ]
    (answer,) = of(messages).payloads("bot_speech")
    assert answer == {
        "text": "Yes, until six.",
        "turn": 1,
        "startedMs": 2700,
        "endedMs": 3200,
        "interrupted": True,
        "cutBy": "user",
        "heard": "unknown",
    }


def test_over_webrtc_the_server_reports_when_its_playback_was_cut() -> None:
    messages = [
        *script.one_exchange(),
        (4.0, script.event("output_audio_buffer.cleared", 30, response_id="resp_1")),
        (4.1, script.event("output_audio_buffer.stopped", 31, response_id="resp_1")),
    ]
    assert [one["atMs"] for one in of(messages).payloads("interruption")] == [4000]


def test_openai_answers_play_one_after_the_other() -> None:
    messages = [
        *script.one_exchange(),
        (3.5, script.delta(40, "resp_2", "item_b2", 1000)),
        (3.6, script.message_done(41, "resp_2", "item_b2", "One more thing.")),
    ]
    second = of(messages).payloads("bot_speech")[1]
    assert (second["startedMs"], second["endedMs"]) == (6700, 7700)


@pytest.mark.parametrize("echo", ["conversation.item.created", "conversation.item.added", "conversation.item.done"])
def test_an_openai_function_call_runs_until_its_output_is_sent(echo: str) -> None:
    messages = [
        *script.one_exchange(),
        (3.0, script.function_call(50, "resp_1")),
        (3.4, script.function_output(51, name=echo)),
        (3.5, script.function_output(52, name="conversation.item.done")),
    ]
    told = of(messages)
    assert told.payloads("tool.started") == [
        {"event": "tool.started", "name": "free_tables", "callId": "call_1", "arguments": {"day": "today"}}
    ]
    assert told.payloads("tool.completed") == [
        {
            "event": "tool.completed",
            "name": "free_tables",
            "callId": "call_1",
            "durationMs": 400,
            "result": {"free": ["18:00"]},
        }
    ]


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ({"output": '{"sum": 3}'}, {"event": "tool.completed", "result": {"sum": 3}}),
        ({"error": {"type": "http_error", "message": "no route"}}, {"event": "tool.failed", "error": "no route"}),
    ],
)
def test_tools_run_by_the_openai_server_are_published_with_their_own_ends(
    end: dict[str, object], told: dict[str, object]
) -> None:
    item = {"id": "mcp_1", "type": "mcp_call", "name": "add", "server_label": "math"}
    whole = {**item, "arguments": '{"a": 1}', **end}
    recorder = of(
        [
            (0.0, script.created()),
            (1.0, script.event("response.output_item.added", 60, response_id="r", output_index=0, item=item)),
            (1.5, script.event("response.output_item.done", 61, response_id="r", output_index=0, item=whole)),
        ]
    )
    (ended,) = recorder.payloads("tool.completed", "tool.failed")
    assert ended == {"name": "add", "callId": "mcp_1", "durationMs": 500, **told}


def test_openai_usage_is_published_for_each_response_and_transcript() -> None:
    of_bot, of_user = of(script.one_exchange()).payloads("usage")
    assert of_bot == {
        "event": "usage",
        "kind": "llm",
        "provider": "openai",
        "model": "gpt-realtime",
        "inputTokens": 100,
        "outputTokens": 50,
    }
    assert (of_user["kind"], of_user["inputTokens"]) == ("stt", 20)


def test_openai_errors_pressed_keys_and_idle_users_are_published() -> None:
    failed = {"type": "failed", "error": {"type": "server_error", "code": "overloaded", "message": "too busy"}}
    told = of(
        [
            (0.0, script.created()),
            (1.0, script.event("error", 70, error={"type": "invalid_request_error", "message": "no such voice"})),
            (1.1, script.done(71, "resp_9", status="failed", status_details=failed)),
            (1.2, {"type": "input_audio_buffer.dtmf_event_received", "event": "5", "received_at": 1766000001}),
            (1.3, script.event("input_audio_buffer.timeout_triggered", 72, item_id="x")),
        ]
    )
    assert [(one["message"], one["code"]) for one in told.payloads("error")] == [
        ("no such voice", "invalid_request_error"),
        ("too busy", "overloaded"),
    ]
    assert told.payloads("dtmf") == [{"event": "dtmf", "by": "user", "digits": "5"}]
    assert told.payloads("user.state") == [{"event": "user.state", "state": "idle"}]


def test_typed_input_is_published_as_chat() -> None:
    item = {"id": "item_t", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    told = of([(0.0, script.created()), (1.0, script.event("conversation.item.added", 80, item=item))])
    assert told.payloads("user_speech") == [{"text": "Hi", "turn": 1, "source": "chat"}]


def test_closing_the_mapper_publishes_what_was_left_open() -> None:
    clock = Clock()
    mapper = RealtimeMapper(clock=clock)
    told = mapped(mapper, clock, [*script.one_exchange()[:3], (3.0, script.function_call(50, "resp_1"))])
    deliver(told, mapper.close("user_hangup"))
    deliver(told, mapper.close("again"))
    assert [one["callId"] for one in told.payloads("tool.cancelled")] == ["call_1"]
    assert told.payloads("call.ended") == [{"event": "call.ended", "reason": "user_hangup"}]


def test_mapping_an_openai_session_again_gives_the_same_events() -> None:
    messages = [*script.one_exchange(), *script.barge_in(), (6.0, script.function_call(50, "resp_1"))]
    first, second = of(messages), of(messages)
    assert [event.event_id for event in first.events] == [event.event_id for event in second.events]
    assert len({event.event_id for event in first.events}) == len(first.events)


def test_unknown_openai_events_publish_nothing() -> None:
    told = of(
        [(0.0, {"type": "response.dreamed"}), (0.1, {}), (0.2, {"type": None}), (0.3, {"type": "session.updated"})]
    )
    assert [event.payload["event"] for event in told.events] == ["call.started"]
