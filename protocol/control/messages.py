"""Messages of both sockets about commands that a supervisor sends to a bot, and about their outcomes."""

from __future__ import annotations

from typing import Literal

from turnwire.protocol.shape import JsonObject, Shape, Timestamp

ResultState = Literal["accepted", "done", "refused", "failed"]
"""The states that a bot reports. `accepted` means that it has begun; the others are final."""
State = Literal["requested", "accepted", "done", "refused", "failed", "expired"]
"""The states of a command."""


# --- publisher: client to gateway ------------------------------------------------------------------------------------


class Accept(Shape, tag_field="type", tag="accept"):
    """The names of the commands that this bot carries out. An empty list withdraws the offer."""

    commands: list[str]


class CommandResult(Shape, tag_field="type", tag="commandResult", omit_defaults=True):
    """The outcome of a command. The first final one stands."""

    command_id: str
    state: ResultState
    message: str | None = None


# --- publisher: gateway to client ------------------------------------------------------------------------------------


class CommandPush(Shape, tag_field="type", tag="command"):
    """A command for the bot to carry out once. The same `command_id` may arrive again."""

    command_id: str
    command: str
    payload: JsonObject
    by: str | None
    expires_at: Timestamp


# --- subscriber ------------------------------------------------------------------------------------------------------


class SendCommand(Shape, tag_field="type", tag="command", omit_defaults=True):
    """A command for the bot of a session. Answered by a `commandState` for each state the command reaches."""

    ref: str
    session_id: str
    command_id: str
    command: str
    payload: JsonObject


class CommandStatePush(Shape, tag_field="type", tag="commandState", omit_defaults=True):
    """The new state of a command. `message` comes from the bot."""

    ref: str
    command_id: str
    state: State
    message: str | None = None
