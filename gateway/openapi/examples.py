"""Examples of the bodies of REST, by the name of their schema."""

from __future__ import annotations

from typing import Any

SESSION_ID = "call-0001"
TIME = "2025-12-21T10:30:00.000Z"

SESSION: dict[str, Any] = {
    "sessionId": SESSION_ID,
    "status": "active",
    "language": "en",
    "startedAt": TIME,
    "endedAt": None,
    "metadata": {"caller": "+4930123456"},
    "lastSeq": 1,
    "lastEventAt": "2025-12-21T10:30:01.250Z",
    "endReason": None,
    "figures": None,
}
FIGURES: dict[str, Any] = {
    "turns": 4,
    "responseP50Ms": 640,
    "responseP95Ms": 910,
    "missed": 0,
    "interruptions": {"byUser": 1, "byBot": 0},
    "toolsFailed": 0,
    "errors": 0,
    "durationMs": 21400,
    "talkMs": 16000,
    "lastLine": {"seq": 11, "side": "user", "text": "Thank you.", "interrupted": False, "durationMs": 900},
}
SUMS: dict[str, Any] = {
    "calls": 120,
    "failed": 3,
    "talkMs": 5_400_000,
    "responseP50Ms": 640,
    "responseP95Ms": 1310,
    "missed": 4,
    "interruptions": 31,
    "toolsFailed": 2,
    "errors": 1,
}
ENDED: dict[str, Any] = {
    **SESSION,
    "status": "completed",
    "endedAt": "2025-12-21T10:31:00.000Z",
    "endReason": "hangup",
    "figures": FIGURES,
}
HISTORY_EVENT: dict[str, Any] = {
    "eventId": "e1",
    "type": "user_speech",
    "payload": {"text": "I'd like to book a table for two."},
    "timestamp": "2025-12-21T10:30:01.250Z",
    "seq": 1,
}
EVENT: dict[str, Any] = {"eventId": "e1", "sessionId": SESSION_ID, **HISTORY_EVENT}
NEW_EVENT: dict[str, Any] = {key: HISTORY_EVENT[key] for key in ("eventId", "type", "payload", "timestamp")}
PAGE: dict[str, Any] = {"total": 1, "page": 1, "limit": 20, "totalPages": 1}
EXAMPLES: dict[str, dict[str, Any]] = {
    "Session": SESSION,
    "Event": EVENT,
    "EventIn": NEW_EVENT,
    "EventBatchIn": {"events": [NEW_EVENT]},
    "EventBatch": {"events": [EVENT]},
    "EventPage": {"events": [EVENT], "lastSeq": 1, "nextAfterSeq": 1},
    "SessionList": {"sessions": [SESSION, ENDED], "nextCursor": None, "count": {"value": 2, "exact": True}},
    "SessionSums": {"groups": [{**SUMS, "key": "2025-12-21"}], "total": {**SUMS, "key": None}, "groupsLeftOff": 0},
    "SessionHistory": {**SESSION, "events": [HISTORY_EVENT], "pagination": PAGE},
    "SessionStats": {
        "sessionId": SESSION_ID,
        "lastSeq": 12,
        "durationMs": 21400,
        "turns": {"total": 4, "user": 2, "bot": 2},
        "talk": {"userMs": 6200, "botMs": 9800, "overlapMs": 300, "userShare": 0.3875, "botShare": 0.6125},
        "responses": {
            "count": 2,
            "lastMs": 640,
            "p50Ms": 640,
            "p95Ms": 910,
            "maxMs": 910,
            "missed": 0,
            "each": [{"seq": 4, "ms": 910}, {"seq": 9, "ms": 640}],
        },
        "yield": {"count": 1, "p50Ms": 320, "p95Ms": 320, "maxMs": 320},
        "overlaps": {"byUser": 1, "byBot": 0},
        "interruptions": {"byUser": 1, "byBot": 0},
        "silences": {"count": 1, "totalMs": 3400, "longestMs": 3400, "thresholdMs": 3000},
        "tools": {"calls": 1, "failed": 0, "running": 0},
        "errors": 0,
        "usage": [
            {
                "kind": "llm",
                "provider": "openai",
                "model": "gpt-4.1",
                "inputTokens": 2100,
                "outputTokens": 140,
                "audioSeconds": 0,
                "characters": 0,
                "cost": 0.0053,
            }
        ],
        "lastLine": {"seq": 11, "side": "user", "text": "Thank you.", "interrupted": False, "durationMs": 900},
    },
    "CreateSession": {key: SESSION[key] for key in ("sessionId", "language", "metadata")},
    "AmendSession": {"metadata": {"outcome": "booked", "draft": None}, "language": "de"},
    "CompleteSession": {"status": "completed", "reason": "hangup"},
    "CommandIn": {"commandId": "cmd-1", "command": "whisper", "payload": {"text": "Offer 10 %."}, "by": "ada"},
    "CommandAnswer": {"commandId": "cmd-1", "state": "requested"},
    "RecentMetrics": {
        "everyMs": 2000,
        "timesMs": [1766313000000],
        "series": {
            "eventsPerSecond": [41.5],
            "ackP50Ms": [3.1],
            "ackP95Ms": [7.4],
            "ackP99Ms": [9.2],
            "publishers": [12],
            "subscribers": [3],
            "liveSessions": [14],
            "outboxBytes": [0],
            "eventsPerCommit": [1.6],
            "commitP95": [5],
            "storageUp": [1],
        },
    },
    "Health": {
        "status": "ok",
        "timestamp": TIME,
        "service": "turnwire",
        "version": "1.0.0",
        "dependencies": {"mongodb": "up"},
    },
}
