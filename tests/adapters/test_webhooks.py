"""The Vapi and Retell adapters: which events their webhooks become, even when they come twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.adapters.recorder import Recorder
from tests.adapters.vendor_messages import RETELL_TRANSCRIPT, VAPI_CALL, retell, said, vapi
from turnwire.adapters import deliver
from turnwire.adapters import retell as of_retell
from turnwire.adapters import vapi as of_vapi
from turnwire.adapters.webhook import Ended, Webhook


def told_by(webhook: Callable[[Any], Webhook], *bodies: Any) -> Recorder:
    """Return what is stored of these webhooks: of events with the same id, the first."""
    recorder, stored = Recorder(), Recorder()
    for body in bodies:
        deliver(recorder, webhook(body).items)
    seen: set[str] = set()
    for item in recorder.items:
        event_id = getattr(item, "event_id", None)
        if event_id is None or event_id not in seen:
            stored.items.append(item)
            seen.add(event_id or "")
    return stored


def test_a_vapi_call_becomes_events() -> None:
    told = told_by(of_vapi.webhook, *VAPI_CALL)
    assert told.payloads("user_speech") == [{"text": "Is there a table?", "confidence": 0.9}]
    assert told.payloads("bot_speech") == [{"text": "There is one at six."}]
    assert told.hints("user_speech") == [{"text": "Is there", "final": False}]
    assert told.payloads("tool.started")[0]["arguments"] == {"day": "today"}
    assert told.payloads("tool.completed") == [
        {"event": "tool.completed", "name": "free_tables", "callId": "t1", "result": {"free": ["18:00"]}}
    ]
    assert told.payloads("interruption") == [{"event": "interruption", "by": "user"}]
    of_model, of_voice = told.payloads("usage")
    assert (of_model["kind"], of_model["inputTokens"], of_model["outputTokens"]) == ("llm", 100, 20)
    assert (of_voice["kind"], of_voice["characters"], of_voice["provider"]) == ("tts", 40, "11labs")
    assert told.payloads("call.analysis")[0]["recordingUrl"] == "https://example.com/r.wav"
    assert told.payloads("call.ended")[0]["reason"] == "customer-ended-call"
    assert told.payloads("user.state")[0]["state"] == "speaking"


def test_vapi_events_have_the_times_of_their_messages() -> None:
    (event,) = of_vapi.webhook(VAPI_CALL[3]).events
    assert event.timestamp is not None
    assert event.timestamp.timestamp() == 1_766_000_002.0


def test_vapi_names_the_session_and_how_it_ended() -> None:
    ongoing, last = of_vapi.webhook(VAPI_CALL[0]), of_vapi.webhook(VAPI_CALL[-1])
    assert (ongoing.session_id, ongoing.ended, ongoing.language) == ("call-vapi", None, "und")
    assert ongoing.metadata == {"framework": "vapi", "assistantId": "as-1"}
    assert last.ended == Ended("completed", "customer-ended-call")
    broken = vapi("end-of-call-report", endedReason="pipeline-error-openai-llm-failed", analysis={}, artifact={})
    assert of_vapi.webhook(broken).ended == Ended("failed", "pipeline-error-openai-llm-failed")


def test_two_utterances_with_the_same_words_stay_two_events() -> None:
    yes = {"role": "user", "transcriptType": "final", "transcript": "Yes."}
    told = told_by(of_vapi.webhook, vapi("transcript", 1, **yes), vapi("transcript", 2, **yes))
    assert len(told.payloads("user_speech")) == 2


def test_a_retell_call_becomes_events() -> None:
    told = told_by(
        of_retell.webhook,
        retell("call_started"),
        *(retell("transcript_updated", RETELL_TRANSCRIPT[:end]) for end in range(1, 9)),
        retell("call_ended", RETELL_TRANSCRIPT, disconnection_reason="user_hangup", end_timestamp=1_766_000_008_000),
        retell(
            "call_analyzed",
            RETELL_TRANSCRIPT,
            disconnection_reason="user_hangup",
            call_analysis={"call_summary": "A table.", "user_sentiment": "Positive"},
        ),
    )
    greeting, answer = told.payloads("bot_speech")
    question, mhm = told.payloads("user_speech")
    assert greeting == {"text": "Hello, how can I help?", "turn": 0, "startedMs": 500, "endedMs": 2000}
    assert question == {"text": "Is there a table?", "turn": 1, "startedMs": 3000, "endedMs": 4000}
    assert (mhm["source"], mhm["turn"]) == ("backchannel", 1)
    assert answer == {"text": "There is one at six.", "turn": 1, "startedMs": 6000, "endedMs": 7500}
    assert told.payloads("tool.started")[0]["name"] == "free_tables"
    assert told.payloads("tool.completed")[0]["result"] == {"free": ["18:00"]}
    assert told.payloads("node") == [{"event": "node", "name": "Booking", "from": "Greeting"}]
    assert told.payloads("dtmf") == [{"event": "dtmf", "by": "user", "digits": "5"}]
    assert told.payloads("call.analysis")[0]["sentiment"] == "Positive"
    assert len(told.payloads("call.ended")) == len(told.payloads("call.started")) == 1


def test_the_last_retell_utterance_is_held_back_until_it_cannot_grow() -> None:
    begun, whole = said("user", "Is there", 3.0, 3.5), said("user", "Is there a table?", 3.0, 4.0)
    told = told_by(
        of_retell.webhook,
        retell("transcript_updated", [RETELL_TRANSCRIPT[0], begun]),
        retell("transcript_updated", [RETELL_TRANSCRIPT[0], whole]),
    )
    assert not told.payloads("user_speech")
    told = told_by(of_retell.webhook, retell("call_ended", [RETELL_TRANSCRIPT[0], whole]))
    assert told.payloads("user_speech")[0]["text"] == "Is there a table?"


def test_a_failed_retell_tool_and_a_transfer_are_published() -> None:
    failed = {"role": "tool_call_result", "tool_call_id": "t1", "content": "no such table", "successful": False}
    told = told_by(of_retell.webhook, retell("call_ended", [failed]), retell("transfer_started"))
    assert told.payloads("tool.failed")[0]["error"] == "no such table"
    assert told.payloads("handoff")[0]["status"] == "started"


def test_retell_names_the_session_and_how_it_ended() -> None:
    ongoing = of_retell.webhook(retell("call_started", metadata={"bot": "tables"}))
    assert (ongoing.session_id, ongoing.ended) == ("call-retell", None)
    assert ongoing.metadata == {"framework": "retell", "agentId": "agent-1", "bot": "tables"}
    broken = retell("call_ended", [], call_status="error", disconnection_reason="error_retell")
    assert of_retell.webhook(broken).ended == Ended("failed", "error_retell")


@pytest.mark.parametrize(
    ("webhook", "unknown"), [(of_vapi.webhook, of_vapi.Unknown), (of_retell.webhook, of_retell.Unknown)]
)
@pytest.mark.parametrize("body", [{}, [], None, {"message": {}, "call": {}}, {"message": {"call": {"id": 7}}}])
def test_a_webhook_body_without_a_call_raises(
    webhook: Callable[[Any], Webhook], unknown: type[ValueError], body: Any
) -> None:
    with pytest.raises(unknown):
        webhook(body)
