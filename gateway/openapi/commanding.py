"""The route of commands to a bot, in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence

from turnwire.gateway.openapi.parts import answer, body, operation
from turnwire.gateway.openapi.schemas import Schema


def command(errors: Sequence[int], replayed: Schema) -> Schema:
    """`errors`: the statuses of every route that writes; `replayed`: the header of an answer that was given before."""
    return operation(
        "command",
        "Ask the bot to do something",
        "`whisper`, `say`, `end`, or another command that the session's `commands` names. Answered once the command is "
        "in the log; what becomes of it follows there, as `control.…` events. Safe to repeat: the same `commandId` is "
        "answered with its present state, and `Idempotent-Replayed: true`.",
        tag="Sessions",
        answers={"202": answer("How far the command is.", "CommandAnswer", replayed)},
        errors=(*errors, 404, 409),
        requestBody=body("CommandIn"),
    )
