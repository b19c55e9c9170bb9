"""Judges what a history says about commands. Pure, like the checker of events, which calls this one too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.support.history import Attendance, CommandAsked, History
from tests.support.violations import Kind
from turnwire.protocol.control.commands import outcome_id, requested_id

LATE_SECONDS = 0.25
"""Seconds by which the clocks of a gateway and of a bot that knows the gateway's may differ."""
ATTENTIVE_SECONDS = 10.0
"""A bot that is connected for this many seconds while a command can be delivered must get it: longer than any storage
fault."""


def is_of_a_command(event_id: str) -> bool:
    return event_id.startswith("control.")


def broken_commands(history: History) -> Iterator[tuple[Kind, str]]:
    """Return everything that contradicts the promise: a command is never carried out twice by one bot process, never
    lost before it expires, and never begun after that."""
    places = {entry.event_id: entry.seq for entry in history.log if is_of_a_command(entry.event_id)}
    yield from _log(history, places)
    yield from _begun(history, places)
    for asked in history.asked:
        yield from _asked(history, asked, places)


def _log(history: History, places: dict[str, int]) -> Iterator[tuple[Kind, str]]:
    asked = {each.command_id for each in history.asked}
    for event_id, seq in places.items():
        command_id = event_id.partition(":")[2]
        if command_id not in asked:
            yield Kind.COMMAND_PHANTOM, f"{event_id!r} is at seq={seq}, and nobody asked for {command_id!r}"
        elif places.get(requested_id(command_id), seq + 1) > seq:
            yield Kind.COMMAND_PHANTOM, f"{event_id!r} is at seq={seq}, before it was asked for"


def _begun(history: History, places: dict[str, int]) -> Iterator[tuple[Kind, str]]:
    contents = {each.command_id: each.content for each in history.asked}
    for begun in history.begun:
        what = f"{begun.process} has begun {begun.command_id!r}"
        if requested_id(begun.command_id) not in places or contents.get(begun.command_id) != begun.content:
            yield Kind.COMMAND_PHANTOM, f"{what}, which is not in the log as it was begun"
        if begun.at >= begun.expires_at + LATE_SECONDS:
            yield Kind.COMMAND_LATE, f"{what} {begun.at - begun.expires_at:.3f} s after its time"
    times = Counter((begun.process, begun.command_id) for begun in history.begun)
    for (process, command_id), count in times.items():
        if count > 1:
            yield Kind.COMMAND_REPEATED, f"{process} has begun {command_id!r} {count} times"


def _asked(history: History, asked: CommandAsked, places: dict[str, int]) -> Iterator[tuple[Kind, str]]:
    if asked.answered_at is None:
        return
    command_id = asked.command_id
    if requested_id(command_id) not in places:
        yield Kind.COMMAND_LOST, f"{command_id!r} was answered and is not in the log"
    if any(begun.command_id == command_id for begun in history.begun):
        if not any(outcome_id(command_id, final=final) in places for final in (True, False)) and asked.settled:
            yield Kind.COMMAND_LOST, f"{command_id!r} was carried out, and the log does not say so"
        return
    for attended in history.attended:
        seconds = _in_common(asked, attended)
        if seconds >= ATTENTIVE_SECONDS:
            yield (
                Kind.COMMAND_LOST,
                f"{command_id!r} did not reach a bot that was there for {seconds:.1f} s of its time",
            )
            return


def _in_common(asked: CommandAsked, attended: Attendance) -> float:
    assert asked.answered_at is not None
    until = asked.expires_at if attended.until is None else min(attended.until, asked.expires_at)
    return until - max(attended.since, asked.answered_at)
