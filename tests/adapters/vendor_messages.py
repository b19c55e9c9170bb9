"""Messages as the vendors send them, for the tests of their mappers; their SDKs accept them."""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]

DEEPGRAM: list[tuple[float, Message]] = [
    (0.0, {"type": "Welcome", "request_id": "req-1"}),
    (1.0, {"type": "UserStartedSpeaking"}),
    (2.5, {"type": "ConversationText", "role": "user", "content": "Are you open?", "languages": ["en"]}),
    (2.6, {"type": "AgentThinking", "content": "The opening hours."}),
    (2.8, {"type": "ConversationText", "role": "assistant", "content": "Yes, until six."}),
    (
        3.0,
        {"type": "AgentStartedSpeaking", "total_latency": 0.6, "tts_latency": 0.2, "ttt_latency": 0.3},
    ),
    (3.1, {"type": "ConversationText", "role": "assistant", "content": "Shall I book a table?"}),
    (3.3, {"type": "AgentAudioDone"}),
]
"""A question and its answer, without the audio."""

DEEPGRAM_REQUEST: Message = {
    "type": "FunctionCallRequest",
    "functions": [{"id": "f1", "name": "free_tables", "arguments": '{"day": "today"}', "client_side": True}],
}


def vapi(kind: str, timestamp: int = 1_766_000_001_000, **fields: Any) -> Message:
    made = {"createdAt": "2025-12-17T19:33:20.000Z", "updatedAt": "2025-12-17T19:33:20.000Z"}
    call = {"id": "call-vapi", "orgId": "org", "assistantId": "as-1", **made}
    return {"message": {"type": kind, "timestamp": timestamp, "call": call, **fields}}


VAPI_RESULT: Message = {
    "role": "tool_call_result",
    "toolCallId": "t1",
    "name": "free_tables",
    "result": '{"free": ["18:00"]}',
    "time": 1_766_000_004_000,
    "secondsFromStart": 4.0,
}

VAPI_CALL: list[Message] = [
    vapi("status-update", status="in-progress"),
    vapi("speech-update", 1_766_000_001_100, status="started", role="user", turn=1),
    vapi("transcript", 1_766_000_001_200, role="user", transcriptType="partial", transcript="Is there"),
    vapi(
        "transcript",
        1_766_000_002_000,
        role="user",
        transcriptType="final",
        transcript="Is there a table?",
        confidence=0.9,
    ),
    vapi("speech-update", 1_766_000_002_100, status="stopped", role="user", turn=1),
    vapi(
        "tool-calls",
        1_766_000_003_000,
        toolCallList=[
            {"id": "t1", "type": "function", "function": {"name": "free_tables", "arguments": '{"day": "today"}'}}
        ],
        toolWithToolCallList=[],
    ),
    vapi("conversation-update", 1_766_000_004_100, messages=[VAPI_RESULT], messagesOpenAIFormatted=[]),
    vapi("transcript", 1_766_000_005_000, role="assistant", transcriptType="final", transcript="There is one at six."),
    vapi("user-interrupted", 1_766_000_005_500, turnId="turn-2"),
    vapi(
        "end-of-call-report",
        1_766_000_010_000,
        endedReason="customer-ended-call",
        cost=0.12,
        costs=[
            {
                "type": "model",
                "model": {"provider": "openai", "model": "gpt-4o"},
                "promptTokens": 100,
                "completionTokens": 20,
                "cost": 0.1,
            },
            {"type": "voice", "voice": {"provider": "11labs", "voiceId": "v"}, "characters": 40, "cost": 0.01},
            {"type": "vapi", "subType": "normal", "minutes": 0.2, "cost": 0.01},
        ],
        analysis={"summary": "A table was asked for.", "successEvaluation": "true"},
        artifact={"messages": [VAPI_RESULT], "recordingUrl": "https://example.com/r.wav"},
    ),
]
"""One call, each of its messages once."""


def retell(kind: str, transcript: list[Message] | None = None, **fields: Any) -> Message:
    call = {
        "call_id": "call-retell",
        "call_type": "web_call",
        "access_token": "a",
        "agent_id": "agent-1",
        "agent_version": 1,
        "call_status": "ongoing",
        "start_timestamp": 1_766_000_000_000,
        **fields,
    }
    if transcript is not None:
        call["transcript_with_tool_calls"] = transcript
    return {"event": kind, "call": call}


def said(role: str, text: str, start: float, end: float, **fields: Any) -> Message:
    words = text.split()
    step = (end - start) / len(words)
    timed = [
        {"word": word, "start": round(start + step * index, 3), "end": round(start + step * (index + 1), 3)}
        for index, word in enumerate(words)
    ]
    return {"role": role, "content": text, "words": timed, **fields}


RETELL_TRANSCRIPT: list[Message] = [
    said("agent", "Hello, how can I help?", 0.5, 2.0),
    said("user", "Is there a table?", 3.0, 4.0),
    said("user", "mhm", 4.5, 4.7, metadata={"is_backchannel": True}),
    {
        "role": "tool_call_invocation",
        "tool_call_id": "t1",
        "name": "free_tables",
        "arguments": '{"day": "today"}',
    },
    {"role": "tool_call_result", "tool_call_id": "t1", "content": '{"free": ["18:00"]}', "successful": True},
    {
        "role": "node_transition",
        "former_node_id": "n1",
        "former_node_name": "Greeting",
        "new_node_id": "n2",
        "new_node_name": "Booking",
    },
    {"role": "dtmf", "digit": "5"},
    said("agent", "There is one at six.", 6.0, 7.5),
]
