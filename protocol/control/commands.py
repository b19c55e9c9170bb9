"""Commands to a bot: what may be asked of one, and how a command and what becomes of it stand in the session's log."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Struct

from turnwire.protocol.control.messages import Accept, CommandResult, State
from turnwire.protocol.errors import MESSAGE_CHARS, InvalidMessage, TooLarge
from turnwire.protocol.messages import Event, EventIn, Limits
from turnwire.protocol.rules import check_id, object_fault
from turnwire.protocol.shape import JsonObject, OrNull, Shape
from turnwire.protocol.times import format_time, parse_time
from turnwire.protocol.values import in_words

MAX_ACCEPTED = 64
"""Names in one `accept`."""
MAX_TTL_MS = 60_000
"""The longest time in which a command may still be delivered, in milliseconds."""
_TTL = timedelta(seconds=10)
_END_TTL = timedelta(seconds=30)
_PREFIX = "control."

# --- what may be asked -----------------------------------------------------------------------------------------------

_Text = Annotated[str, Meta(min_length=1)]


class Whisper(Shape):
    """A hint to the bot that the caller does not hear. `respond`: it answers at once."""

    text: _Text
    respond: OrNull[bool] = False
    interrupt: OrNull[bool] = False


class Say(Shape):
    """The bot says exactly this. `end`: the call ends after it."""

    text: _Text
    interrupt: OrNull[bool] = False
    interruptible: OrNull[bool] = True
    end: OrNull[bool] = False


class End(Shape):
    """The bot ends the call, after it has said `say`."""

    say: _Text | None = None
    reason: OrNull[_Text] = "supervisor"


STANDARD: dict[str, type[Shape]] = {"whisper": Whisper, "say": Say, "end": End}
"""The commands whose payload is fixed. Others are passed to bots that accept them, as they are."""


def check_command(command_id: str, command: str, payload: JsonObject, by: str | None, limits: Limits) -> None:
    """Raises InvalidMessage or TooLarge for a command that no bot should get."""
    check_id(command_id, "commandId", limits)
    check_id(command, "command", limits)
    if by is not None:
        check_id(by, "by", limits)
    fault = object_fault(payload, limits.depth - 1)  # it stands inside an event's payload
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
    """What a bot gets of a payload that has been checked: a field of a standard command that is null is left out."""
    if command not in STANDARD:
        return payload
    return {name: value for name, value in payload.items() if value is not None}


def check_accept(accept: Accept, limits: Limits) -> None:
    """Raises InvalidMessage."""
    if len(accept.commands) > MAX_ACCEPTED:
        raise InvalidMessage(f"commands must have at most {MAX_ACCEPTED} names, has {len(accept.commands)}")
    for name in accept.commands:
        check_id(name, "commands", limits)


def check_result(result: CommandResult, limits: Limits) -> None:
    """Raises InvalidMessage. A message that is too long is cut."""
    check_id(result.command_id, "commandId", limits)
    if result.message is not None:
        result.message = result.message[:MESSAGE_CHARS]


def ttl_of(command: str, ttl_ms: int | None) -> timedelta:
    """How long it may be delivered. Raises InvalidMessage."""
    if ttl_ms is None:
        return _END_TTL if command == "end" else _TTL
    if not 1 <= ttl_ms <= MAX_TTL_MS:
        raise InvalidMessage(f"ttlMs must be an integer from 1 to {MAX_TTL_MS}")
    return timedelta(milliseconds=ttl_ms)


# --- in the log ------------------------------------------------------------------------------------------------------


class Command(Struct, frozen=True):
    """A command as the log has it."""

    command_id: str
    command: str
    payload: JsonObject
    by: str | None
    expires_at: datetime

    def asks_the_same(self, other: Command) -> bool:
        """Whether both ask for the same; `by` and the time do not count. 1, 1.0 and true differ."""
        return self.command == other.command and _canonical(self.payload) == _canonical(other.payload)


_canonical = msgspec.json.Encoder(order="sorted", enc_hook=int).encode


class Outcome(Struct, frozen=True):
    """What became of a command, as the log has it."""

    command_id: str
    state: State
    message: str | None = None

    @property
    def final(self) -> bool:
        return self.state not in ("requested", "accepted")


def requested_id(command_id: str) -> str:
    """The eventId of a command. That the log has each eventId once is what makes a commandId unique."""
    return f"{_PREFIX}requested:{command_id}"


def outcome_id(command_id: str, *, final: bool) -> str:
    """The eventId of an outcome. All final ones share theirs: so the first one stands, whoever writes it."""
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
    """What an event says of a command; None when it says nothing of any, or is not one that a gateway has written."""
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
