"""Violations that concern commands, to be planted: each function changes a clean history in one way."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.history import (
    Attendance,
    CommandAsked,
    CommandBegun,
    Entry,
    History,
)
from tests.support.history_runs import content
from tests.support.violations import Kind


def asks(history: History, *, in_log: bool = True) -> CommandAsked:
    """A command more, which nobody has carried out."""
    asked = CommandAsked("planted", content(0), expires_at=100.0, answered_at=50.0)
    history.asked.append(asked)
    if in_log:
        log_entry(history, "control.requested:planted")
    return asked


def log_entry(history: History, event_id: str) -> None:
    history.log.append(Entry(len(history.log) + 1, event_id, content(0), "t"))


def begin(history: History, asked: CommandAsked, at: float = 51.0) -> None:
    history.begun.append(CommandBegun("bot", asked.command_id, asked.content, at, asked.expires_at))


def answer_a_command_that_is_not_stored(history: History, _: int) -> None:
    asks(history, in_log=False)


def keep_a_command_from_a_bot_that_is_there(history: History, at: int) -> None:
    asks(history)
    history.attended.append(Attendance(since=at % 50, until=None if at % 2 else 65.0))


def forget_what_became_of_a_command(history: History, _: int) -> None:
    asked = asks(history)
    asked.settled = True
    begin(history, asked)


def carry_out_a_command_twice(history: History, _: int) -> None:
    asked = asks(history)
    begin(history, asked)
    begin(history, asked, at=52.0)


def carry_out_a_command_late(history: History, _: int) -> None:
    begin(history, asks(history), at=101.0)


def carry_out_what_nobody_asked_for(history: History, _: int) -> None:
    history.begun.append(CommandBegun("bot", "nobody's", content(0), 1.0, 2.0))


def carry_out_something_else(history: History, _: int) -> None:
    asked = asks(history)
    history.begun.append(CommandBegun("bot", asked.command_id, content(-7), 51.0, asked.expires_at))


def end_a_command_before_it_was_asked_for(history: History, _: int) -> None:
    log_entry(history, "control.ended:planted")
    asks(history)


def store_a_command_that_nobody_asked_for(history: History, _: int) -> None:
    log_entry(history, "control.requested:nobody's")


COMMANDS: list[tuple[Callable[[History, int], None], Kind]] = [
    (answer_a_command_that_is_not_stored, Kind.COMMAND_LOST),
    (keep_a_command_from_a_bot_that_is_there, Kind.COMMAND_LOST),
    (forget_what_became_of_a_command, Kind.COMMAND_LOST),
    (carry_out_a_command_twice, Kind.COMMAND_REPEATED),
    (carry_out_a_command_late, Kind.COMMAND_LATE),
    (carry_out_what_nobody_asked_for, Kind.COMMAND_PHANTOM),
    (carry_out_something_else, Kind.COMMAND_PHANTOM),
    (end_a_command_before_it_was_asked_for, Kind.COMMAND_PHANTOM),
    (store_a_command_that_nobody_asked_for, Kind.COMMAND_PHANTOM),
]
