"""The routes that import and export past calls, in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from turnwire.gateway.http.media_types import NDJSON
from turnwire.gateway.openapi.examples import ENDED, NEW_EVENT, SESSION_ID
from turnwire.gateway.openapi.keeping import keeping_paths
from turnwire.gateway.openapi.parts import operation, parameter
from turnwire.gateway.openapi.schemas import Schema, ref, simplify
from turnwire.protocol.past_calls.lines import ImportOutcome
from turnwire.protocol.rights import Scope

_LINE: Schema = {
    **{name: ENDED[name] for name in ("sessionId", "status", "language", "startedAt", "endedAt", "endReason")},
    "metadata": {},
    "events": [NEW_EVENT],
}
_OUTCOME: Schema = {
    "line": 1,
    "sessionId": SESSION_ID,
    "result": "imported",
    "events": 1,
    "code": None,
    "message": None,
}


def import_paths(errors: Sequence[int]) -> Schema:
    """Return the routes. `errors`: the statuses of every route that writes."""
    switch = {"type": "string", "enum": ["true", "false"], "default": "false"}
    line = {"description": "NDJSON: a session on each line, with its `events`."}
    route = operation(
        "importSessions",
        "Import past calls",
        f"A stream of NDJSON, a session on each line with its `events`, each with its `timestamp`; answered line by "
        f"line. Needs `{Scope.ADMIN}`. Safe to repeat: what is stored already is left, and what differs is reported.",
        tag="Sessions",
        answers={
            "200": {
                "description": "The outcome of each line, in order.",
                "content": {NDJSON: {"schema": ref("ImportOutcome"), "example": _OUTCOME}},
            }
        },
        errors=[status for status in errors if status != 408],
        parameters=[
            parameter("keepOpen", "Leave calls that never ended open, instead of ending them as failed.", switch),
            parameter("verify", "Store nothing, and report whether each call is stored as given.", switch),
            parameter("restore", "The lines are those of a backup, and open calls stay open.", switch),
        ],
        requestBody={
            "required": True,
            "content": {NDJSON: {"schema": line, "example": msgspec.json.encode(_LINE).decode() + "\n"}},
        },
    )
    without_body = [status for status in errors if status not in (408, 413, 415)]
    return {"/import": {"post": route}, **keeping_paths(without_body)}


def import_schemas() -> Schema:
    """Return the schemas of the route, by name."""
    _, made = msgspec.json.schema_components((ImportOutcome,), ref_template="#/components/schemas/{name}")
    outcome: Schema = made["ImportOutcome"]
    outcome["required"] = list(outcome["properties"])
    simplify(outcome)
    outcome["examples"] = [_OUTCOME]
    return {"ImportOutcome": outcome}
