"""The route for commands to a bot, in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence

from turnwire.gateway.openapi.parts import answer, body, operation
from turnwire.gateway.openapi.schemas import Schema


def command(errors: Sequence[int], replayed: Schema) -> Schema:
    """Return the operation. `errors`: the statuses of every route that writes. `replayed`: the replay header."""
    return operation(
        "command",
        "Send a command to the bot",
        "Send `whisper`, `say`, `end`, or another command that the session's `commands` lists. The answer comes once "
        "the command is in the log; its outcome follows there as `control.…` events. Safe to repeat: the same "
        "`commandId` is answered with its current state and `Idempotent-Replayed: true`.",
        tag="Sessions",
        answers={"202": answer("The state of the command.", "CommandAnswer", replayed)},
        errors=(*errors, 404, 409),
        requestBody=body("CommandIn"),
    )
