"""Messages of both sockets about commands: what a supervisor asks a bot to do, and what became of it."""

from __future__ import annotations

from typing import Literal

from turnwire.protocol.shape import JsonObject, Shape, Timestamp

ResultState = Literal["accepted", "done", "refused", "failed"]
"""What a bot says of a command. `accepted`: it has begun; the others are final."""
State = Literal["requested", "accepted", "done", "refused", "failed", "expired"]
"""How far a command is."""


# --- publisher: client to gateway ------------------------------------------------------------------------------------


class Accept(Shape, tag_field="type", tag="accept"):
    """The commands that this bot carries out, by name; an empty list takes it back."""

    commands: list[str]


class CommandResult(Shape, tag_field="type", tag="commandResult", omit_defaults=True):
    """What became of a command. The first final one stands."""

    command_id: str
    state: ResultState
    message: str | None = None


# --- publisher: gateway to client ------------------------------------------------------------------------------------


class CommandPush(Shape, tag_field="type", tag="command"):
    """Carry this out, once: the same `command_id` may come again."""

    command_id: str
    command: str
    payload: JsonObject
    by: str | None
    expires_at: Timestamp


# --- subscriber ------------------------------------------------------------------------------------------------------


class SendCommand(Shape, tag_field="type", tag="command", omit_defaults=True):
    """Ask the bot of a session to do something. Answered by `commandState`, again whenever the state is new."""

    ref: str
    session_id: str
    command_id: str
    command: str
    payload: JsonObject


class CommandState(Shape, tag_field="type", tag="commandState", omit_defaults=True):
    """How far a command is now; `message` is the bot's."""

    ref: str
    command_id: str
    state: State
    message: str | None = None
