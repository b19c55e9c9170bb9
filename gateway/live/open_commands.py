"""The commands of one session that have no final outcome in its log."""

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
    reacted: bool = False
    """Whether the bot has reacted. If so, the command does not expire and is not delivered again."""


class OpenCommands:
    """The open commands of a session, in the order of its log. Owned by the session's task."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def learn(self, events: Iterable[EventIn | Event]) -> list[Command]:
        """Take over the commands and outcomes in these events, the next ones of the log. Return the new commands."""
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
        """Take over the outcome of a command. A final one closes the command."""
        if outcome.final:
            self._open.pop(outcome.command_id, None)
        elif outcome.command_id in self._open:
            self._open[outcome.command_id].reacted = True

    def unanswered(self) -> list[Command]:
        """Return the commands that the bot has not answered, in the order of the log."""
        return [each.command for each in self._open.values() if not each.reacted]

    def due(self, now: datetime) -> list[Command]:
        """Return the unanswered commands that have expired at `now`."""
        return [command for command in self.unanswered() if now >= command.expires_at]


def push_of(command: Command) -> CommandPush:
    """Return the message that delivers the command to the bot."""
    return CommandPush(
        command.command_id, command.command, command.payload, command.by, format_time(command.expires_at)
    )
