"""The schemas of the OpenAPI document, made from the wire shapes, plus the limits that the shapes do not state."""

from __future__ import annotations

from typing import Any

import msgspec

from turnwire.protocol import bodies, messages
from turnwire.protocol.control.commands import MAX_TTL_MS, STANDARD
from turnwire.protocol.figures import SessionStats
from turnwire.protocol.messages import Limits
from turnwire.protocol.paging import MAX_LANGUAGE_CHARS

Schema = dict[str, Any]

SESSION_ID = "call-0001"
TIME = "2025-12-21T10:30:00.000Z"

SESSION: Schema = {
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
FIGURES: Schema = {
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
SUMS: Schema = {
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
ENDED: Schema = {
    **SESSION,
    "status": "completed",
    "endedAt": "2025-12-21T10:31:00.000Z",
    "endReason": "hangup",
    "figures": FIGURES,
}
HISTORY_EVENT: Schema = {
    "eventId": "e1",
    "type": "user_speech",
    "payload": {"text": "I'd like to book a table for two."},
    "timestamp": "2025-12-21T10:30:01.250Z",
    "seq": 1,
}
EVENT: Schema = {"eventId": "e1", "sessionId": SESSION_ID, **HISTORY_EVENT}
NEW_EVENT: Schema = {key: HISTORY_EVENT[key] for key in ("eventId", "type", "payload", "timestamp")}
PAGE: Schema = {"total": 1, "page": 1, "limit": 20, "totalPages": 1}
EXAMPLES: dict[str, Schema] = {
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
    "Health": {
        "status": "ok",
        "timestamp": TIME,
        "service": "turnwire",
        "version": "1.0.0",
        "dependencies": {"mongodb": "up"},
    },
}

_SENT = (
    bodies.CreateSession,
    bodies.AmendSession,
    bodies.CompleteSession,
    messages.EventIn,
    bodies.EventBatchIn,
    bodies.CommandIn,
)
_ANSWERED = (
    messages.Session,
    messages.Event,
    bodies.EventBatch,
    bodies.EventPage,
    bodies.SessionList,
    bodies.SessionSums,
    bodies.CommandAnswer,
    bodies.HistoryEvent,
    bodies.PagePagination,
    bodies.OffsetPagination,
    bodies.ErrorEnvelope,
    bodies.Health,
    SessionStats,
)
_SOCKET_MESSAGES = {
    "PublisherCommand": messages.PublisherCommand,
    "PublisherReply": messages.PublisherReply,
    "SubscriberCommand": messages.SubscriberCommand,
    "SubscriberPush": messages.SubscriberPush,
}
_PARTS_ANSWERED = {
    "Dependencies",
    "Turns",
    "Talk",
    "Responses",
    "Response",
    "Yields",
    "Overlaps",
    "Usage",
    "Interruptions",
    "Silences",
    "Tools",
    "SessionFigures",
    "SessionCount",
    "SessionGroup",
}
_LEFT_OUT = {
    "Dependencies": {"redis"},
    "Health": {"reasons"},
    "SessionList": {"count", "searchedBackTo", "searched"},
    "Session": {"commands"},
    "CommandAnswer": {"message"},
}
"""Fields of answers that may be left out."""
_TIME_PATTERN = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def schemas(limits: Limits) -> dict[str, Schema]:
    """Return `components.schemas`, by name."""
    kinds = (*_SENT, *_ANSWERED, *_SOCKET_MESSAGES.values())
    tops, made = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    made.update(zip(_SOCKET_MESSAGES, list(tops)[-len(_SOCKET_MESSAGES) :], strict=True))
    for name in {kind.__name__ for kind in _ANSWERED} | _PARTS_ANSWERED:
        made[name]["required"] = [field for field in made[name]["properties"] if field not in _LEFT_OUT.get(name, ())]
    made["SessionHistory"] = _session_history(made["Session"])
    _set_texts(made)
    _set_limits(made, limits)
    _set_times(made)
    for name, example in EXAMPLES.items():
        made[name]["examples"] = [example]
    return dict(sorted(made.items()))


def _session_history(session: Schema) -> Schema:
    return {
        **session,
        "title": "SessionHistory",
        "description": "A session with one page of its events, by timestamp, then seq.",
        "properties": {
            **session["properties"],
            "events": {"type": "array", "items": ref("HistoryEvent")},
            "pagination": {"anyOf": [ref("PagePagination"), ref("OffsetPagination")]},
        },
        "required": [*session["required"], "events", "pagination"],
    }


def _set_texts(made: dict[str, Schema]) -> None:
    texts = {
        "EventBatch": "The events as stored, in the order they were sent.",
        "SessionList": "A page of sessions. `nextCursor` is null on the last page. `searchedBackTo` is present if the "
        "search took too long: continue with the cursor.",
        "PagePagination": "The position of a page, for `page` and `limit`.",
        "OffsetPagination": "The position of a page, for `offset` and `limit`.",
        "Health": "`degraded`: the gateway serves, but is draining or cannot reach its database or Redis.",
        "Dependencies": "What the gateway needs.",
    }
    for name, text in texts.items():
        made[name]["description"] = text
    fields = {
        "sessionId": "Chosen by the client. If left out, the gateway makes a UUIDv7.",
        "language": "A language tag such as `en` or `de-DE`.",
        "metadata": "Any JSON object; returned exactly.",
        "status": "The status that a new session starts with: `initiated` or `active`. Any for an existing session.",
        "startedAt": "When a call of the past began; now by default.",
    }
    for name, text in fields.items():
        made["CreateSession"]["properties"][name]["description"] = text
    made["EventIn"]["properties"]["eventId"]["description"] = "Unique in its session for ever; safe to send again."
    made["Session"]["properties"]["lastSeq"]["description"] = "Events stored so far."


def _set_limits(made: dict[str, Schema], limits: Limits) -> None:
    """Add the limits beyond the types whose violation is refused with 400 or 413."""
    an_id = {"minLength": 1, "maxLength": limits.id_chars}
    create, new_event = made["CreateSession"]["properties"], made["EventIn"]["properties"]
    create["language"] |= {"minLength": 1, "maxLength": MAX_LANGUAGE_CHARS}
    create["sessionId"]["anyOf"][0] |= an_id | {"not": {"enum": [".", ".."]}}
    object_or_null: Schema = {"anyOf": [ref("JsonObject"), {"type": "null"}]}
    create["metadata"] = {**object_or_null, "description": create["metadata"]["description"], "default": {}}
    new_event["eventId"] |= an_id
    new_event["payload"] = {**ref("JsonObject"), "description": "Any JSON object; stored and returned exactly."}
    amend = made["AmendSession"]["properties"]
    amend["language"]["anyOf"][0] |= {"minLength": 1, "maxLength": MAX_LANGUAGE_CHARS}
    amend["metadata"] = {**object_or_null, "description": "A merge patch (RFC 7396): null removes a key."}
    made["CompleteSession"]["properties"]["reason"]["anyOf"][0] |= an_id
    made["EventBatchIn"]["properties"]["events"] |= {"minItems": 1, "maxItems": limits.batch_events}
    _set_command_limits(made["CommandIn"]["properties"], an_id)
    made["JsonObject"] = {
        "title": "JsonObject",
        "description": (
            f"Any JSON object that is at most {limits.depth} levels deep (the object itself is the first), "
            "has no NUL characters in keys, and only integers that fit in 64 bits, signed."
        ),
        "type": "object",
        "propertyNames": {"pattern": "^[^\\u0000]*$"},
        "additionalProperties": ref("JsonValue"),
    }
    made["JsonValue"] = {
        "title": "JsonValue",
        "description": "Any JSON value inside a JsonObject.",
        "anyOf": [
            {"type": ["null", "boolean", "string", "number"]},  # a bound for integers would bound 1e300 too
            {"type": "array", "items": ref("JsonValue")},
            ref("JsonObject"),
        ],
    }


def _set_command_limits(command: Schema, an_id: Schema) -> None:
    command["commandId"] |= an_id
    command["command"] |= an_id
    command["by"]["anyOf"][0] |= an_id
    command["ttlMs"]["anyOf"][0] |= {"minimum": 1, "maximum": MAX_TTL_MS}
    names = ", ".join(f"`{name}`" for name in STANDARD)
    text = f"Any JSON object. The payloads of {names} have fixed shapes; others are refused."
    command["payload"] = {**ref("JsonObject"), "description": text}


def _set_times(made: dict[str, Schema]) -> None:
    """State the fixed format of the times that the gateway sends."""
    for schema in made.values():
        for value in schema.get("properties", {}).values():
            for variant in (value, *value.get("anyOf", ())):
                if variant.get("examples") == [TIME]:
                    variant |= {"format": "date-time", "pattern": _TIME_PATTERN}
