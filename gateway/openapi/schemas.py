"""The schemas of the OpenAPI document, made from the wire shapes, plus the limits that the shapes do not state."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import msgspec

from turnwire.gateway.openapi.examples import EXAMPLES, TIME
from turnwire.protocol import bodies, messages
from turnwire.protocol.control.commands import MAX_TTL_MS, STANDARD
from turnwire.protocol.figures import SessionStats
from turnwire.protocol.messages import Limits
from turnwire.protocol.paging import MAX_LANGUAGE_CHARS

Schema = dict[str, Any]

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
    bodies.RecentMetrics,
    bodies.Health,
    SessionStats,
)
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
    "OpenedLimits",
    "Summary",
    "SessionGroup",
    "RecentSeries",
}
_LEFT_OUT = {
    "Dependencies": {"redis"},
    "Health": {"reasons"},
    "SessionList": {"count", "searchedBackTo", "searched"},
    "Session": {"archived", "commands", "quietMs"},
    "CommandAnswer": {"message"},
}
"""Fields of answers that may be left out."""
_TIME_PATTERN = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def schemas(limits: Limits) -> dict[str, Schema]:
    """Return `components.schemas` of the OpenAPI document, by name."""
    made = _components((*_SENT, *_ANSWERED))
    made["SessionHistory"] = _session_history(made["Session"])
    _set_texts(made)
    _set_limits(made, limits)
    _finish(made, limits)
    for name, example in EXAMPLES.items():
        made[name]["examples"] = [example]
    return dict(sorted(made.items()))


def message_schemas(limits: Limits, kinds: Collection[type[Any]]) -> dict[str, Schema]:
    """Return the schemas of messages on sockets, and of all that they hold, by name."""
    made = _components(kinds)
    made["EventIn"]["properties"]["eventId"] |= {"minLength": 1, "maxLength": limits.id_chars}
    made["Append"]["properties"]["events"] |= {"minItems": 1, "maxItems": limits.batch_events}
    _finish(made, limits)
    return dict(sorted(made.items()))


def _components(kinds: Collection[type[Any]]) -> dict[str, Schema]:
    _, made = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for name in made.keys() & ({kind.__name__ for kind in _ANSWERED} | _PARTS_ANSWERED):
        made[name]["required"] = [field for field in made[name]["properties"] if field not in _LEFT_OUT.get(name, ())]
    return made


def _finish(made: dict[str, Schema], limits: Limits) -> None:
    made["JsonObject"] = _json_object(limits)
    _set_times(made)
    for schema in made.values():
        simplify(schema)


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
    create["sessionId"]["anyOf"][0] |= an_id | {"not": {"type": "string", "enum": [".", ".."]}}
    object_or_null: Schema = {"anyOf": [ref("JsonObject"), {"type": "null"}]}
    create["metadata"] = {**object_or_null, "description": create["metadata"]["description"]}
    new_event["eventId"] |= an_id
    new_event["payload"] = {**ref("JsonObject"), "description": "Any JSON object; stored and returned exactly."}
    amend = made["AmendSession"]["properties"]
    amend["language"]["anyOf"][0] |= {"minLength": 1, "maxLength": MAX_LANGUAGE_CHARS}
    amend["metadata"] = {**object_or_null, "description": "A merge patch (RFC 7396): null removes a key."}
    made["CompleteSession"]["properties"]["reason"]["anyOf"][0] |= an_id
    made["EventBatchIn"]["properties"]["events"] |= {"minItems": 1, "maxItems": limits.batch_events}
    _set_command_limits(made["CommandIn"]["properties"], an_id)


def _json_object(limits: Limits) -> Schema:
    return {
        "title": "JsonObject",
        "description": (
            f"Any JSON object that is at most {limits.depth} levels deep (the object itself is the first), "
            "has no NUL characters in keys, and only integers that fit in 64 bits, signed."
        ),
        "type": "object",
        "additionalProperties": True,  # generators of clients understand neither recursive schemas nor propertyNames
    }


def _set_command_limits(command: Schema, an_id: Schema) -> None:
    command["commandId"] |= an_id
    command["command"] |= an_id
    command["by"]["anyOf"][0] |= an_id
    command["ttlMs"]["anyOf"][0] |= {"minimum": 1, "maximum": MAX_TTL_MS}
    names = ", ".join(f"`{name}`" for name in STANDARD)
    text = f"Any JSON object. The payloads of {names} have fixed shapes; others are refused."
    command["payload"] = {**ref("JsonObject"), "description": text}


def simplify(schema: Schema) -> None:
    """Rewrite a schema in terms that generators of clients understand.

    They read an enum without a type as any value, an object without `additionalProperties` as an empty object, and a
    field with a default as one that is always present.
    """
    _give_types(schema)
    for field in schema.get("properties", {}).values():
        _give_types(field)
        default = field.pop("default", None)
        if isinstance(default, str | int):
            told = f"`{json.dumps(default).strip(chr(34))}` if left out."
            field["description"] = f"{field['description']} {told}" if "description" in field else told


def _give_types(schema: Schema) -> None:
    for inner in (*schema.get("anyOf", ()), schema.get("items")):
        if inner:
            _give_types(inner)
    if "enum" in schema and all(isinstance(value, str) for value in schema["enum"]):
        schema["type"] = "string"
    elif schema.get("type") == "object" and not schema.keys() & {"properties", "additionalProperties"}:
        del schema["type"]
        schema |= ref("JsonObject")


def _set_times(made: dict[str, Schema]) -> None:
    """State the fixed format of the times that the gateway sends."""
    for schema in made.values():
        for value in schema.get("properties", {}).values():
            for variant in (value, *value.get("anyOf", ())):
                if variant.get("examples") == [TIME]:
                    variant |= {"format": "date-time", "pattern": _TIME_PATTERN}
