"""The route that erases a session, in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence

from turnwire.gateway.openapi.parts import operation, parameter
from turnwire.gateway.openapi.schemas import Schema
from turnwire.protocol.rights import Scope


def erase(errors: Sequence[int]) -> Schema:
    """Return the operation. `errors`: the statuses of every route."""
    force = {"type": "string", "enum": ["true", "false"], "default": "false"}
    return operation(
        "eraseSession",
        "Erase a session",
        f"Erase a session with its events and figures, for good, on every gateway. Needs `{Scope.DELETE}`. Its "
        "watchers are told that it is gone, and its id can be used again. Safe to repeat, even if there is no such "
        "session. 503 if it takes long: the erasure then continues.",
        tag="Sessions",
        answers={"204": {"description": "The session is erased."}},
        errors=(*errors, 409),
        parameters=[
            parameter("force", "Erase it even while a publisher is connected; close that publisher with 4404.", force)
        ],
    )
