"""The routes of the Durable Streams protocol, in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence

from turnwire.gateway.http.media_types import JSON_TYPE, SSE
from turnwire.gateway.http.query import STREAM_PREFIXES
from turnwire.gateway.openapi.parts import operation, parameter
from turnwire.gateway.openapi.schemas import Schema
from turnwire.protocol.paging import MAX_LIMIT
from turnwire.protocol.rights import Scope

_ITEM: Schema = {"type": "user_speech", "payload": {"text": "Hello!"}}
_ITEMS: Schema = {
    JSON_TYPE: {
        "schema": {"type": "array", "items": {}, "description": "Events, and other JSON values."},
        "example": [_ITEM],
    }
}
_SWITCH: Schema = {"type": "string", "enum": ["true"]}
_TEXT: Schema = {"type": "string", "minLength": 1}
_NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
_NEXT_OFFSET: Schema = {"description": "The offset after what was read or written.", "schema": _TEXT}
_CLOSED: Schema = {"description": "Present at the end of a stream that is closed.", "schema": _SWITCH}
_AT: Schema = {"Stream-Next-Offset": _NEXT_OFFSET, "Stream-Closed": _CLOSED}
_CLOSES = parameter("Stream-Closed", "With `true`, the session ends afterwards.", {"type": "string"}, place="header")


def stream_paths(list_errors: Sequence[int], write_errors: Sequence[int]) -> Schema:
    """Return the routes. `list_errors` and `write_errors`: the statuses of every route that reads, and of every one
    that writes."""
    return {
        f"{prefix}{{sessionId}}": _path(suffix, list_errors, write_errors)
        for prefix, suffix in zip(STREAM_PREFIXES, ("", "V1"), strict=True)
    }


def _path(suffix: str, list_errors: Sequence[int], write_errors: Sequence[int]) -> Schema:
    return {
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in ("sessionId", "sessionIdInQuery")],
        "get": _read(f"readStream{suffix}", (*list_errors, 404)),
        "head": _head(f"headStream{suffix}", (*list_errors, 404)),
        "put": _create(f"createStream{suffix}", (*write_errors, 409)),
        "post": _append(f"appendToStream{suffix}", (*write_errors, 404, 409)),
        "delete": _delete(f"deleteStream{suffix}", (*list_errors, 404, 409)),
    }


def _answer(description: str, content: Schema | None = None) -> Schema:
    answer: Schema = {"description": description, "headers": _AT}
    return answer if content is None else {**answer, "content": content}


def _read(operation_id: str, errors: Sequence[int]) -> Schema:
    modes = {"type": "string", "enum": ["long-poll", "sse"]}
    return operation(
        operation_id,
        "Read a stream",
        f"The items after an offset, at most {MAX_LIMIT} at a time; `Stream-Up-To-Date` says that there are no more, "
        f"`Stream-Closed` that there never will be any. Needs `{Scope.READ}`.",
        tag="Streams",
        answers={
            "200": _answer(
                "The items, or with `live=sse` events with items.", {**_ITEMS, SSE: {"schema": {"type": "string"}}}
            ),
            "204": _answer("Nothing arrived while a long-poll waited, or nothing will arrive any more."),
            "304": {"description": "The same as under the `ETag` in `If-None-Match`."},
        },
        errors=errors,
        parameters=[
            parameter("offset", "A `Stream-Next-Offset`; or `-1`, the start, or `now`, the end.", _TEXT, example="-1"),
            parameter("live", "Wait for items: for the next ones, or for all further ones.", modes),
            parameter("cursor", "The `Stream-Cursor` of the previous answer.", {"type": "string"}),
        ],
    )


def _head(operation_id: str, errors: Sequence[int]) -> Schema:
    return operation(
        operation_id,
        "Find the end of a stream",
        f"Needs `{Scope.READ}`.",
        tag="Streams",
        answers={"200": _answer("Where the stream ends, and whether it is closed.")},
        errors=errors,
    )


def _create(operation_id: str, errors: Sequence[int]) -> Schema:
    return operation(
        operation_id,
        "Create a stream",
        f"A session, unless it exists. Needs `{Scope.CREATE}`, with items `{Scope.PUBLISH}` as well.",
        tag="Streams",
        answers={"200": _answer("The stream exists."), "201": _answer("The stream was created.")},
        errors=errors,
        parameters=[
            parameter("Content-Language", "The session's language; without it `und`.", _TEXT, place="header"),
            _CLOSES,
        ],
        requestBody={"required": False, "content": _ITEMS},
    )


def _append(operation_id: str, errors: Sequence[int]) -> Schema:
    return operation(
        operation_id,
        "Append to a stream, or close it",
        f"One item or an array of several; no body to close it only. Needs `{Scope.PUBLISH}`, to close "
        f"`{Scope.COMPLETE}`. With the three headers of a producer, each request is stored once.",
        tag="Streams",
        answers={
            "200": _answer("A producer's items are stored."),
            "204": _answer("The items are stored; those of a producer were stored before."),
        },
        errors=errors,
        parameters=[
            parameter("Producer-Id", "The producer.", _TEXT, place="header"),
            parameter("Producer-Epoch", "Increased each time the producer starts.", _NUMBER, place="header"),
            parameter("Producer-Seq", "The number of its request in the epoch, from 0.", _NUMBER, place="header"),
            parameter("Stream-Seq", "Must be greater than that of every earlier request.", _TEXT, place="header"),
            _CLOSES,
        ],
        requestBody={"required": False, "content": _ITEMS},
    )


def _delete(operation_id: str, errors: Sequence[int]) -> Schema:
    return operation(
        operation_id,
        "Erase a stream",
        f"Erase the session for good, with its events. Needs `{Scope.DELETE}`.",
        tag="Streams",
        answers={"204": {"description": "Nothing is left of it."}},
        errors=errors,
    )
