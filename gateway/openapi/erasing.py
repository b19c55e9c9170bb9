"""The route that erases a session, in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence

from turnwire.gateway.openapi.parts import operation, parameter
from turnwire.gateway.openapi.schemas import Schema
from turnwire.protocol.rights import Scope


def erase(errors: Sequence[int]) -> Schema:
    """`errors`: the statuses of every route."""
    force = {"type": "string", "enum": ["true", "false"], "default": "false"}
    return operation(
        "eraseSession",
        "Erase a session",
        f"With its events and figures, on every gateway, for good. Needs `{Scope.DELETE}`. Whoever watches it is told "
        "that it is gone, and its id may be used again. Safe to repeat, also for a session that there is not. 503 when "
        "it takes long: it goes on then.",
        tag="Sessions",
        answers={"204": {"description": "Nothing is left of it."}},
        errors=(*errors, 409),
        parameters=[parameter("force", "Also while a publisher is connected, which is closed with 4404.", force)],
    )
