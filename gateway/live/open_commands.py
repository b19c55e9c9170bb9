"""The commands of one session that have not come to their end, as far as its log has been heard."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from turnwire.protocol.control.commands import Command, Outcome, control_of
from turnwire.protocol.control.messages import CommandPush
from turnwire.protocol.messages import Event, EventIn
from turnwire.protocol.times import format_time


class _Open(Struct):
    command: Command
    answered: bool = False
    """Whether the bot has begun: then it does not expire, and is not delivered again."""


class OpenCommands:
    """In the order of the log. Owned by the session's task."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def heard(self, events: Iterable[EventIn | Event]) -> list[Command]:
        """Take over what these next events of the log say. Returns the commands among them."""
        new: list[Command] = []
        for event in events:
            if event.type != "system":
                continue
            control = control_of(event)
            if isinstance(control, Command):
                self._open[control.command_id] = _Open(control)
                new.append(control)
            elif isinstance(control, Outcome):
                self.conclude(control)
        return new

    def conclude(self, outcome: Outcome) -> None:
        """Take over that a command has got so far."""
        if outcome.final:
            self._open.pop(outcome.command_id, None)
        elif outcome.command_id in self._open:
            self._open[outcome.command_id].answered = True

    def unanswered(self) -> list[Command]:
        """Those the bot has not answered, in order."""
        return [each.command for each in self._open.values() if not each.answered]

    def due(self, now: datetime) -> list[Command]:
        """Those whose time is over without an answer."""
        return [command for command in self.unanswered() if now >= command.expires_at]


def push_of(command: Command) -> CommandPush:
    """What the bot gets."""
    return CommandPush(
        command.command_id, command.command, command.payload, command.by, format_time(command.expires_at)
    )
