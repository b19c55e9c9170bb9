"""Commands to a bot: the rules for them, and the events that record a command and its outcome in the session's log."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Struct

from turnwire.protocol.control.messages import Accept, CommandResult, State
from turnwire.protocol.errors import MESSAGE_CHARS, InvalidMessage, TooLarge
from turnwire.protocol.messages import Event, EventIn, Limits
from turnwire.protocol.rules import check_id
from turnwire.protocol.shape import JsonObject, OrNull, Shape
from turnwire.protocol.times import format_time, parse_time
from turnwire.protocol.values import in_words, object_fault

MAX_ACCEPTED = 64
"""Maximum number of names in one `accept`."""
MAX_TTL_MS = 60_000
"""The longest time for which a command may wait for delivery, in milliseconds."""
_TTL = timedelta(seconds=10)
_END_TTL = timedelta(seconds=30)
_PREFIX = "control."

# --- the rules -------------------------------------------------------------------------------------------------------

_Text = Annotated[str, Meta(min_length=1)]


class Whisper(Shape):
    """A hint to the bot that the caller does not hear. With `respond`, the bot speaks at once."""

    text: _Text
    respond: OrNull[bool] = False
    interrupt: OrNull[bool] = False


class Say(Shape):
    """A text for the bot to say word for word. With `end`, the call ends after it."""

    text: _Text
    interrupt: OrNull[bool] = False
    interruptible: OrNull[bool] = True
    end: OrNull[bool] = False


class End(Shape):
    """An order to end the call, once the bot has said `say`."""

    say: _Text | None = None
    reason: OrNull[_Text] = "supervisor"


STANDARD: dict[str, type[Shape]] = {"whisper": Whisper, "say": Say, "end": End}
"""The commands with a fixed payload. Any other command's payload is passed on unchanged."""


def check_command(command_id: str, command: str, payload: JsonObject, by: str | None, limits: Limits) -> None:
    """Raise InvalidMessage or TooLarge for a command that must not be sent to a bot."""
    check_id(command_id, "commandId", limits)
    check_id(command, "command", limits)
    if by is not None:
        check_id(by, "by", limits)
    fault = object_fault(payload, limits.depth - 1)  # an event's payload will hold this payload, one level deeper
    if fault is not None:
        raise InvalidMessage(f"payload{fault}")
    size = len(msgspec.json.encode(payload))
    if size > limits.event_bytes:
        raise TooLarge(f"the payload has {size} bytes, over the limit of {limits.event_bytes}")
    if command in STANDARD:
        try:
            msgspec.convert(payload, STANDARD[command])
        except msgspec.ValidationError as error:
            raise InvalidMessage(f"payload of {command}: {in_words(str(error))}") from None


def standard_payload(command: str, payload: JsonObject) -> JsonObject:
    """Return what the bot receives of a checked payload: null fields of a standard command are left out."""
    if command not in STANDARD:
        return payload
    return {name: value for name, value in payload.items() if value is not None}


def check_accept(accept: Accept, limits: Limits) -> None:
    """Raise InvalidMessage for too many names, or for a name of a wrong length."""
    if len(accept.commands) > MAX_ACCEPTED:
        raise InvalidMessage(f"commands must have at most {MAX_ACCEPTED} names, has {len(accept.commands)}")
    for name in accept.commands:
        check_id(name, "commands", limits)


def check_result(result: CommandResult, limits: Limits) -> None:
    """Cut a message that is too long. Raise InvalidMessage for a commandId of a wrong length."""
    check_id(result.command_id, "commandId", limits)
    if result.message is not None:
        result.message = result.message[:MESSAGE_CHARS]


def ttl_of(command: str, ttl_ms: int | None) -> timedelta:
    """Return the time for which a command may wait for delivery. Raises InvalidMessage for a `ttl_ms` out of range."""
    if ttl_ms is None:
        return _END_TTL if command == "end" else _TTL
    if not 1 <= ttl_ms <= MAX_TTL_MS:
        raise InvalidMessage(f"ttlMs must be an integer from 1 to {MAX_TTL_MS}")
    return timedelta(milliseconds=ttl_ms)


# --- in the log ------------------------------------------------------------------------------------------------------


class Command(Struct, frozen=True):
    """A command, as recorded in the log."""

    command_id: str
    command: str
    payload: JsonObject
    by: str | None
    expires_at: datetime

    def asks_the_same(self, other: Command) -> bool:
        """Return whether command and payload are equal; 1, 1.0 and true differ. `by` and `expires_at` do not count."""
        return self.command == other.command and _canonical(self.payload) == _canonical(other.payload)


_canonical = msgspec.json.Encoder(order="sorted", enc_hook=int).encode


class Outcome(Struct, frozen=True):
    """The outcome of a command, as recorded in the log."""

    command_id: str
    state: State
    message: str | None = None

    @property
    def final(self) -> bool:
        return self.state not in ("requested", "accepted")


def requested_id(command_id: str) -> str:
    """Return the eventId of a command. A commandId is unique because a log holds each eventId once."""
    return f"{_PREFIX}requested:{command_id}"


def outcome_id(command_id: str, *, final: bool) -> str:
    """Return the eventId of an outcome. All final outcomes share one, so that the first to be written stands."""
    return f"{_PREFIX}ended:{command_id}" if final else f"{_PREFIX}accepted:{command_id}"


def requested_event(command: Command) -> EventIn:
    payload: JsonObject = {
        "event": f"{_PREFIX}requested",
        "commandId": command.command_id,
        "command": command.command,
        "payload": command.payload,
        "by": command.by,
        "expiresAt": format_time(command.expires_at),
    }
    return EventIn(requested_id(command.command_id), "system", payload)


def outcome_event(outcome: Outcome) -> EventIn:
    payload: JsonObject = {"event": f"{_PREFIX}{outcome.state}", "commandId": outcome.command_id}
    if outcome.message is not None:
        payload["message"] = outcome.message
    return EventIn(outcome_id(outcome.command_id, final=outcome.final), "system", payload)


def control_of(event: EventIn | Event) -> Command | Outcome | None:
    """Return the command or outcome that an event records; None for an event that a gateway did not write as such."""
    if event.type != "system" or not event.event_id.startswith(_PREFIX):
        return None
    try:
        return _control_of(event.event_id, event.payload)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _control_of(event_id: str, payload: dict[str, Any]) -> Command | Outcome | None:
    command_id = payload["commandId"]
    if event_id == requested_id(command_id):
        content, by = payload["payload"], payload["by"]
        if not isinstance(content, dict) or not isinstance(payload["command"], str):
            return None
        return Command(command_id, payload["command"], content, by, parse_time(payload["expiresAt"]))
    state = payload["event"].removeprefix(_PREFIX)
    outcome = Outcome(command_id, state, payload.get("message"))
    known = state in get_args(State) and event_id == outcome_id(command_id, final=outcome.final)
    return outcome if known else None
