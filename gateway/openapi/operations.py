"""The routes of the OpenAPI document."""

from __future__ import annotations

from typing import get_args

from turnwire.gateway.http.media_types import NDJSON, SSE
from turnwire.gateway.openapi.commanding import command
from turnwire.gateway.openapi.credentials import credential_paths
from turnwire.gateway.openapi.erasing import erase
from turnwire.gateway.openapi.parts import JSON, answer, body, health, integer, limit, operation, parameter, text
from turnwire.gateway.openapi.schemas import EXAMPLES, SESSION_ID, TIME, Schema, ref
from turnwire.gateway.openapi.sockets import publish, subscribe
from turnwire.protocol.messages import Limits, SessionStatus
from turnwire.protocol.paging import (
    DEFAULT_LIST_LIMIT,
    DEFAULT_OFFSET_LIMIT,
    DEFAULT_PAGE_LIMIT,
    DEFAULT_WINDOW_LIMIT,
    MAX_COUNT,
    MAX_DAYS,
    MAX_FILTER_CHARS,
    MAX_HOURS,
    MAX_INTEGER,
    MAX_LANGUAGE_CHARS,
    MAX_METADATA_PAIRS,
    MAX_WORDS,
)

LIST_ERRORS = (400, 401, 403, 405, 429, 500, 503)
READ_ERRORS = (*LIST_ERRORS, 404)
WRITE_ERRORS = (*LIST_ERRORS, 408, 413, 415)
REPLAYED = {"Idempotent-Replayed": {"$ref": "#/components/headers/IdempotentReplayed"}}


def paths(limits: Limits) -> Schema:
    """`paths` of the document."""
    one = {"$ref": "#/components/parameters/sessionId"}
    return {
        "/sessions": {"get": _list_sessions(limits), "post": _create_session()},
        "/stats": {"get": _read_sums()},
        "/sessions/{sessionId}": {
            "parameters": [one],
            "get": _read_session(),
            "patch": _amend_session(),
            "delete": erase(LIST_ERRORS),
        },
        "/sessions/{sessionId}/events": {"parameters": [one], "get": _read_events(), "post": _append_events(limits)},
        "/sessions/{sessionId}/stats": {"parameters": [one], "get": _read_stats()},
        "/sessions/{sessionId}/complete": {"parameters": [one], "post": _complete_session()},
        "/sessions/{sessionId}/commands": {"parameters": [one], "post": command(WRITE_ERRORS, REPLAYED)},
        "/sessions/{sessionId}/publish": {"parameters": [one], "get": publish(READ_ERRORS)},
        "/subscribe": {"get": subscribe(LIST_ERRORS)},
        **credential_paths(WRITE_ERRORS),
        "/health": {"get": health("readHealth", "Health", "200 while the database answers, else 503.")},
        "/health/live": {
            "get": health("readLiveness", "Liveness", "200 as long as the process answers; for restarts.", down=False)
        },
        "/health/ready": {
            "get": health("readReadiness", "Readiness", "503 without the database, and while going away; for traffic.")
        },
        "/metrics": {"get": text("readMetrics", "Prometheus metrics", "text/plain", errors=(405, 500))},
        "/openapi.json": {"get": text("readApiDocument", "This document", JSON, {"type": "object"})},
        "/docs": {"get": text("readApiReference", "API reference, for people", "text/html")},
        "/": {"get": text("readDashboard", "Dashboard, for people", "text/html")},
    }


def parameters(limits: Limits) -> Schema:
    """`components.parameters` of the document."""
    schema = {"type": "string", "minLength": 1, "maxLength": limits.id_chars}
    description = "The session, percent-encoded as UTF-8; a slash in it is `%2F`."
    return {"sessionId": parameter("sessionId", description, schema, place="path", example=SESSION_ID)}


# --- sessions --------------------------------------------------------------------------------------------------------


def _list_sessions(limits: Limits) -> Schema:
    language = {"type": "string", "minLength": 1, "maxLength": MAX_LANGUAGE_CHARS}
    text = {"type": "string", "minLength": 1, "maxLength": MAX_FILTER_CHARS}
    ended = "Only sessions that have ended and"
    return operation(
        "listSessions",
        "List sessions",
        "Newest first, by `startedAt`, then `sessionId`, unless asked otherwise. Go on with `cursor=nextCursor` until "
        "that is null; sessions that start meanwhile do not shift the pages. Beside these parameters up to "
        f"{MAX_METADATA_PAIRS} `metadata.<key>=<value>` ask for top-level values of metadata.",
        tag="Sessions",
        answers={"200": answer("A page of sessions.", "SessionList")},
        errors=LIST_ERRORS,
        parameters=[
            parameter("status", "Only sessions of this status.", {"enum": list(get_args(SessionStatus))}),
            parameter("language", "Only sessions of exactly this language.", language),
            *_times(),
            parameter("endReason", "Only sessions with this reason.", text),
            parameter("idPrefix", "Only sessions whose id begins so.", text),
            integer("minDurationMs", f"{ended} lasted at least so long.", None, 0),
            integer("maxDurationMs", f"{ended} lasted at most so long.", None, 0),
            parameter("hasErrors", f"{ended} had errors, or had none.", {"enum": ["true", "false"]}),
            integer("toolsFailed", f"{ended} had at least so many failed tool calls.", None, 0),
            integer("minResponseP95Ms", f"{ended} have at least this `responseP95Ms`.", None, 0),
            integer("minInterruptions", f"{ended} had at least so many interruptions.", None, 0),
            parameter(
                "q",
                f"Only sessions that have all of these words, 1 to {MAX_WORDS}, in their id, their metadata or in "
                "what was said; `searched` says where was looked.",
                {"type": "string", "minLength": 1, "maxLength": MAX_WORDS * 40},
                example="breakfast",
            ),
            parameter("order", "Of `startedAt`.", {"enum": ["asc", "desc"], "default": "desc"}),
            integer("countUpTo", "Also count the sessions of all pages, up to this number.", None, 1, MAX_COUNT),
            limit("Sessions a page.", DEFAULT_LIST_LIMIT),
            parameter("cursor", "`nextCursor` of the page before.", {"type": "string", "format": "turnwire-cursor"}),
        ],
    )


def _times() -> list[Schema]:
    schema = {"type": "string", "format": "date-time"}
    return [
        parameter("startedAfter", "Exclusive.", schema, example=TIME),
        parameter("startedBefore", "Exclusive.", schema),
    ]


def _read_sums() -> Schema:
    either = [{"enum": ["day", "hour", "language", "endReason"]}, {"pattern": "^metadata\\..+"}]
    groupings = {"type": "string", "anyOf": either}
    return operation(
        "readSums",
        "Sum up sessions by group",
        "Of the sessions that started between two times: the last 30 days unless given, at most "
        f"{MAX_DAYS} days, or {MAX_HOURS} hours by the hour (UTC). Percentiles are of the calls' own figures.",
        tag="Sessions",
        answers={"200": answer("The groups, and all together.", "SessionSums")},
        errors=LIST_ERRORS,
        parameters=[
            *_times(),
            parameter(
                "groupBy", "`day`, `hour`, `language`, `endReason`, `metadata.<key>`.", {**groupings, "default": "day"}
            ),
        ],
    )


def _create_session() -> Schema:
    return operation(
        "createSession",
        "Create a session",
        "Safe to repeat: an existing session is returned unchanged, with `Idempotent-Replayed: true`.",
        tag="Sessions",
        answers={"200": answer("The session, new or existing.", "Session", REPLAYED)},
        errors=WRITE_ERRORS,
        requestBody=body("CreateSession"),
    )


def _read_session() -> Schema:
    return operation(
        "readSession",
        "Read a session with a page of its events",
        "Events by timestamp, then seq. Two styles of paging: `page` and `limit` (as when neither is given), or "
        "`offset` and `limit`; both at once are refused.",
        tag="Sessions",
        answers={"200": answer("The session and the page.", "SessionHistory")},
        errors=READ_ERRORS,
        parameters=[
            integer("page", "The first one is 1, which is also the default.", None, 1),
            integer("offset", "Events to skip.", None, 0),
            limit(f"Events a page: {DEFAULT_PAGE_LIMIT} by default, {DEFAULT_OFFSET_LIMIT} with `offset`.", None),
            parameter("order", "Of the timestamps.", {"enum": ["asc", "desc"], "default": "asc"}),
        ],
    )


def _amend_session() -> Schema:
    return operation(
        "amendSession",
        "Change a session's metadata or language",
        "Also after the end. `metadata` is a merge patch (RFC 7396): null removes a key, objects are merged, all else "
        "replaces. Safe to repeat.",
        tag="Sessions",
        answers={"200": answer("The session as it is now.", "Session")},
        errors=(*WRITE_ERRORS, 404),
        requestBody=body("AmendSession"),
    )


def _read_stats() -> Schema:
    return operation(
        "readStats",
        "Read the figures of a conversation",
        "Turns, talk time, response latencies, interruptions, silences, tool calls and errors, from the events 1 to "
        "`lastSeq`. What each means, and the payload fields they are read from, is documented in `docs/events.md`.",
        tag="Sessions",
        answers={"200": answer("The figures, as of now.", "SessionStats")},
        errors=READ_ERRORS,
    )


def _complete_session() -> Schema:
    return operation(
        "completeSession",
        "End a session",
        "A session ends once: repeats answer with the first end, and `Idempotent-Replayed: true`. Without a body it "
        "ends as `completed`.",
        tag="Sessions",
        answers={"200": answer("The session, ended.", "Session", REPLAYED)},
        errors=(*WRITE_ERRORS, 404),
        requestBody=body("CompleteSession", required=False),
    )


# --- events ----------------------------------------------------------------------------------------------------------


def _append_events(limits: Limits) -> Schema:
    either = {"anyOf": [ref("EventIn"), ref("EventBatchIn")]}
    one = EXAMPLES["EventIn"]
    examples = {"one": {"value": one}, "several": {"value": EXAMPLES["EventBatchIn"]}}
    answer: Schema = {
        "description": "Durable: the event, or the events in order, as stored.",
        "headers": REPLAYED,
        "content": {JSON: {"schema": {"anyOf": [ref("Event"), ref("EventBatch")]}, "example": EXAMPLES["Event"]}},
    }
    return operation(
        "appendEvents",
        "Append one event, or several",
        f"All of them or none; at most {limits.batch_events}. Safe to repeat: an `eventId` that is stored is answered "
        "with the event first stored, unchanged; `Idempotent-Replayed: true` when that holds for all. An ended session "
        "takes events for a grace time.",
        tag="Events",
        answers={"201": answer},
        errors=(*WRITE_ERRORS, 404, 409),
        requestBody={"required": True, "content": {JSON: {"schema": either, "examples": examples}}},
    )


def _read_events() -> Schema:
    last_event_id = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}
    line = {"schema": ref("Event"), "description": "One event a line."}
    stream = 'event: event\nid: 1\ndata: {"eventId":"e1","sessionId":"call-0001",…}\n\n'
    content = {
        JSON: {"schema": ref("EventPage"), "example": EXAMPLES["EventPage"]},
        NDJSON: {"schema": line["schema"]},
        SSE: {"schema": {"type": "string"}, "example": stream},
    }
    return operation(
        "readEvents",
        "Read events in seq order",
        f"What comes after `afterSeq`. `Accept: {NDJSON}` streams the whole rest of the log as it is now, one event a "
        f"line. `Accept: {SSE}` streams it and then follows it live: `session` first, `event: event` with the seq as "
        "`id`, `caughtUp` and `signal`; reconnect with `Last-Event-ID`.",
        tag="Events",
        answers={"200": {"description": "Events, in the form asked for.", "content": content}},
        errors=READ_ERRORS,
        parameters=[
            integer("afterSeq", "Exclusive.", 0, 0),
            limit("Events a window; streams have no limit.", DEFAULT_WINDOW_LIMIT),
            parameter("Last-Event-ID", "For SSE: overrides `afterSeq`.", last_event_id, place="header"),
        ],
    )
