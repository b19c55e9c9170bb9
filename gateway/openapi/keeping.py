"""The route that reads backups, in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence

from turnwire.gateway.http.media_types import NDJSON
from turnwire.gateway.openapi.parts import operation, parameter
from turnwire.gateway.openapi.schemas import Schema
from turnwire.protocol.rights import Scope


def keeping_paths(errors: Sequence[int]) -> Schema:
    """Return the route. `errors`: the statuses of every route that reads many sessions."""
    cursor: Schema = {"type": "string", "format": "turnwire-cursor"}
    route = operation(
        "readBackup",
        "Back up all sessions",
        f"All sessions with their events, as NDJSON: a line for each, newest first, in the form of an import; at the "
        f'end a line `{{"end": …}}`. Needs `{Scope.ADMIN}`. Whatever was acknowledged before the request is in it. '
        f"A session whose archive is damaged has `unreadable`, which says so, in place of `events`.",
        tag="Sessions",
        answers={
            "200": {
                "description": "The sessions. Without the last line, the answer was cut short.",
                "content": {NDJSON: {"schema": {"type": "object", "additionalProperties": True}}},
            }
        },
        errors=errors,
        parameters=[parameter("cursor", "Continue after the line with this `at.cursor`.", cursor)],
    )
    return {"/backup": {"get": route}}
