"""The route of commands to a bot, in the OpenAPI document."""

from __future__ import annotations

from turnwire.gateway.openapi.parts import REPLAYED, WRITE_ERRORS, answer, body, operation
from turnwire.gateway.openapi.schemas import Schema


def command() -> Schema:
    return operation(
        "command",
        "Ask the bot to do something",
        "`whisper`, `say`, `end`, or another command that the session's `commands` names. Answered once the command is "
        "in the log; what becomes of it follows there, as `control.…` events. Safe to repeat: the same `commandId` is "
        "answered with its present state, and `Idempotent-Replayed: true`.",
        tag="Sessions",
        answers={"202": answer("How far the command is.", "CommandAnswer", REPLAYED)},
        errors=(*WRITE_ERRORS, 404, 409),
        requestBody=body("CommandIn"),
    )
