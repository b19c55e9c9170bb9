"""The routes of the OpenAPI document."""

from __future__ import annotations

from typing import get_args

from turnwire.gateway.http.media_types import NDJSON, SSE
from turnwire.gateway.openapi.commanding import command
from turnwire.gateway.openapi.erasing import erase
from turnwire.gateway.openapi.examples import EXAMPLES, SESSION_ID, TIME
from turnwire.gateway.openapi.importing import import_paths
from turnwire.gateway.openapi.parts import (
    JSON,
    answer,
    body,
    integer,
    limit,
    operation,
    parameter,
    service_paths,
    text,
)
from turnwire.gateway.openapi.schemas import Schema, ref
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
    """Return `paths` of the document."""
    one = [{"$ref": f"#/components/parameters/{name}"} for name in ("sessionId", "sessionIdInQuery")]
    return {
        "/sessions": {"get": _list_sessions(limits), "post": _create_session()},
        "/stats": {"get": _read_sums()},
        "/sessions/{sessionId}": {
            "parameters": one,
            "get": _read_session(),
            "patch": _amend_session(),
            "delete": erase(LIST_ERRORS),
        },
        "/sessions/{sessionId}/events": {"parameters": one, "get": _read_events(), "post": _append_events(limits)},
        "/sessions/{sessionId}/stats": {"parameters": one, "get": _read_stats()},
        "/sessions/{sessionId}/complete": {"parameters": one, "post": _complete_session()},
        "/sessions/{sessionId}/commands": {"parameters": one, "post": command(WRITE_ERRORS, REPLAYED)},
        "/sessions/{sessionId}/publish": {"parameters": one, "get": publish(READ_ERRORS)},
        "/subscribe": {"get": subscribe(LIST_ERRORS)},
        **import_paths(WRITE_ERRORS),
        **service_paths(),
        "/openapi.json": {
            "get": text("readApiDocument", "This document", JSON, {"type": "object", "additionalProperties": True})
        },
        "/asyncapi.json": {
            "get": text(
                "readSocketsDocument",
                "The messages of the WebSockets, as AsyncAPI",
                JSON,
                {"type": "object", "additionalProperties": True},
            )
        },
        "/docs": {"get": text("readApiReference", "API reference, for people", "text/html")},
        "/": {"get": text("readDashboard", "Dashboard, for people", "text/html")},
    }


def parameters(limits: Limits) -> Schema:
    """Return `components.parameters` of the document."""
    schema = {"type": "string", "minLength": 1, "maxLength": limits.id_chars}
    in_path = "The session's id, percent-encoded as UTF-8; a slash in it is `%2F`. Or `-`, if the query gives the id."
    in_query = "The session's id, with `-` in its place in the path. Proxies that decode a path leave the query alone."
    return {
        "sessionId": parameter("sessionId", in_path, schema, place="path", example=SESSION_ID),
        "sessionIdInQuery": parameter("sessionId", in_query, schema),
    }


# --- sessions --------------------------------------------------------------------------------------------------------


def _list_sessions(limits: Limits) -> Schema:
    language = {"type": "string", "minLength": 1, "maxLength": MAX_LANGUAGE_CHARS}
    text = {"type": "string", "minLength": 1, "maxLength": MAX_FILTER_CHARS}
    ended = "Only sessions that have ended and"
    return operation(
        "listSessions",
        "List sessions",
        "Newest first, by `startedAt`, then `sessionId`, unless `order` says otherwise. For the next page, send "
        "`cursor=nextCursor`, until `nextCursor` is null; sessions that start meanwhile do not shift the pages. "
        f"Up to {MAX_METADATA_PAIRS} further parameters `metadata.<key>=<value>` filter by top-level metadata; "
        "an empty value finds the sessions without one.",
        tag="Sessions",
        answers={"200": answer("A page of sessions.", "SessionList")},
        errors=LIST_ERRORS,
        parameters=[
            parameter(
                "status", "Only sessions with this status.", {"type": "string", "enum": list(get_args(SessionStatus))}
            ),
            parameter("language", "Only sessions with exactly this language.", language),
            *_times(),
            parameter("endReason", "Only sessions with this end reason; empty: with none.", {**text, "minLength": 0}),
            parameter("idPrefix", "Only sessions whose id begins with this text.", text),
            integer("minDurationMs", f"{ended} lasted at least this long.", None, 0),
            integer("maxDurationMs", f"{ended} lasted at most this long.", None, 0),
            parameter(
                "hasErrors",
                f"{ended} had errors (`true`) or none (`false`).",
                {"type": "string", "enum": ["true", "false"]},
            ),
            integer("toolsFailed", f"{ended} had at least this many failed tool calls.", None, 0),
            integer("minResponseP95Ms", f"{ended} have at least this `responseP95Ms`.", None, 0),
            integer("minInterruptions", f"{ended} had at least this many interruptions.", None, 0),
            parameter(
                "q",
                f"Only sessions that have all of these words, 1 to {MAX_WORDS}, in their id, their metadata or "
                "what was said; `searched` in the answer says which of these were searched.",
                {"type": "string", "minLength": 1, "maxLength": MAX_WORDS * 40},
                example="breakfast",
            ),
            parameter(
                "order", "The order of `startedAt`.", {"type": "string", "enum": ["asc", "desc"], "default": "desc"}
            ),
            integer("countUpTo", "Also count the sessions of all pages, up to this number.", None, 1, MAX_COUNT),
            limit("Sessions per page.", DEFAULT_LIST_LIMIT),
            parameter("cursor", "`nextCursor` of the previous page.", {"type": "string", "format": "turnwire-cursor"}),
        ],
    )


def _times() -> list[Schema]:
    schema = {"type": "string", "format": "date-time"}
    return [
        parameter("startedAfter", "Only sessions that started after this time.", schema, example=TIME),
        parameter("startedBefore", "Only sessions that started before this time.", schema),
    ]


def _read_sums() -> Schema:
    either = [{"enum": ["day", "hour", "language", "endReason"]}, {"pattern": "^metadata\\..+"}]
    groupings = {"type": "string", "anyOf": either}
    return operation(
        "readSums",
        "Sum up sessions by group",
        "Sum up the sessions that started between two times, by default in the last 30 days. The times may be at most "
        f"{MAX_DAYS} days apart, {MAX_HOURS} hours if grouped by hour. Days and hours are in UTC. Percentiles are over "
        "the figures of the sessions.",
        tag="Sessions",
        answers={"200": answer("The groups, and their total.", "SessionSums")},
        errors=LIST_ERRORS,
        parameters=[
            *_times(),
            parameter("groupBy", "What to group by.", {**groupings, "default": "day"}),
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
        "Events are ordered by timestamp, then seq. There are two styles of paging: `page` and `limit` (the default), "
        "or `offset` and `limit`. `page` and `offset` together are refused.",
        tag="Sessions",
        answers={"200": answer("The session and the page.", "SessionHistory")},
        errors=READ_ERRORS,
        parameters=[
            integer("page", "The page, from 1 on; 1 by default.", None, 1),
            integer("offset", "Events to skip.", None, 0),
            limit(f"Events per page: {DEFAULT_PAGE_LIMIT} by default, {DEFAULT_OFFSET_LIMIT} with `offset`.", None),
            parameter(
                "order", "The order of the timestamps.", {"type": "string", "enum": ["asc", "desc"], "default": "asc"}
            ),
        ],
    )


def _amend_session() -> Schema:
    return operation(
        "amendSession",
        "Change a session's metadata or language",
        "Allowed also after the end. `metadata` is a merge patch (RFC 7396): null removes a key, objects are merged, "
        "anything else replaces. Safe to repeat.",
        tag="Sessions",
        answers={"200": answer("The session as it is now.", "Session")},
        errors=(*WRITE_ERRORS, 404),
        requestBody=body("AmendSession"),
    )


def _read_stats() -> Schema:
    return operation(
        "readStats",
        "Read the figures of a conversation",
        "Turns, talk time, response latencies, interruptions, silences, tool calls and errors, computed from events 1 "
        "to `lastSeq`. `docs/events.md` explains the figures and the payload fields they are computed from.",
        tag="Sessions",
        answers={"200": answer("The current figures.", "SessionStats")},
        errors=READ_ERRORS,
    )


def _complete_session() -> Schema:
    return operation(
        "completeSession",
        "End a session",
        "A session ends once: a repeated request is answered with the first end and `Idempotent-Replayed: true`. "
        "Without a body the session ends as `completed`.",
        tag="Sessions",
        answers={"200": answer("The ended session.", "Session", REPLAYED)},
        errors=(*WRITE_ERRORS, 404),
        requestBody=body("CompleteSession", required=False),
    )


# --- events ----------------------------------------------------------------------------------------------------------


def _append_events(limits: Limits) -> Schema:
    either = {"anyOf": [ref("EventIn"), ref("EventBatchIn")]}
    one = EXAMPLES["EventIn"]
    examples = {"one": {"value": one}, "several": {"value": EXAMPLES["EventBatchIn"]}}
    answer: Schema = {
        "description": "The event, or the events in order, as stored. They are durable.",
        "headers": REPLAYED,
        "content": {JSON: {"schema": {"anyOf": [ref("Event"), ref("EventBatch")]}, "example": EXAMPLES["Event"]}},
    }
    return operation(
        "appendEvents",
        "Append one or more events",
        f"Append one event, or up to {limits.batch_events}, all of them or none. Safe to repeat: an `eventId` that is "
        "stored already is answered with the event first stored, unchanged, and with `Idempotent-Replayed: true` if "
        "that holds for all events. An ended session takes events for a grace time.",
        tag="Events",
        answers={"201": answer},
        errors=(*WRITE_ERRORS, 404, 409),
        requestBody={"required": True, "content": {JSON: {"schema": either, "examples": examples}}},
    )


def _read_events() -> Schema:
    last_event_id = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}
    line = {"schema": ref("Event"), "description": "One event per line."}
    stream = 'event: event\nid: 1\ndata: {"eventId":"e1","sessionId":"call-0001",…}\n\n'
    content = {
        JSON: {"schema": ref("EventPage"), "example": EXAMPLES["EventPage"]},
        NDJSON: {"schema": line["schema"]},
        SSE: {"schema": {"type": "string"}, "example": stream},
    }
    return operation(
        "readEvents",
        "Read events in seq order",
        f"Read the events after `afterSeq`. `Accept: {NDJSON}` streams the rest of the log as it is now, one event per "
        f"line. `Accept: {SSE}` streams the log and then follows it live: `session` first, then `event` with the seq "
        "as `id`, `caughtUp` and `signal`; reconnect with `Last-Event-ID`.",
        tag="Events",
        answers={"200": {"description": "The events, in the requested media type.", "content": content}},
        errors=READ_ERRORS,
        parameters=[
            integer("afterSeq", "Only events after this seq.", 0, 0),
            limit("Most events in a JSON answer; streams have no limit.", DEFAULT_WINDOW_LIMIT),
            parameter("Last-Event-ID", "Overrides `afterSeq` for server-sent events.", last_event_id, place="header"),
        ],
    )
