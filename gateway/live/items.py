"""The items of a live session's inbox, which its task handles one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

from msgspec import Struct

from turnwire.gateway.live.parties import Sender
from turnwire.protocol.control.commands import Command, Outcome
from turnwire.protocol.messages import (
    BadEvent,
    Event,
    EventIn,
    FinalStatus,
    JsonObject,
    Opened,
    Session,
    SessionFigures,
)
from turnwire.store.archive.mark import ArchiveMark
from turnwire.store.session_record import SessionRecord

T = TypeVar("T")
Condition = Callable[[SessionRecord], Awaitable[object]]
"""Checks that the log, whose head is in the record, still allows the item. An error that it raises refuses the item."""


def is_answered(done: asyncio.Future[Any] | None) -> bool:
    """Return whether an item's answer has been given, or nobody waits for it any more. False without an answer."""
    return done is not None and done.done()


def resolve(done: asyncio.Future[T] | None, answer: T) -> None:
    """Give an item's answer, if somebody waits for it."""
    if done is not None and not done.done():
        done.set_result(answer)


def reject(done: asyncio.Future[Any] | None, error: Exception) -> None:
    """Fail an item's answer, if somebody waits for it."""
    if done is not None and not done.done():
        done.set_exception(error)


class Stored(Struct, frozen=True):
    """The answer to one event of a REST append: the event as first stored, and whether it had been stored before."""

    event: Event
    duplicate: bool


class CommandProgress(Struct, frozen=True):
    """The state of a command, and whether it had been requested before."""

    outcome: Outcome
    replayed: bool


class AppendItem(Struct, eq=False):
    """Events of one sender, in order."""

    events: Sequence[EventIn | BadEvent]
    weight: int
    """Size in bytes, as received."""
    received_at: datetime
    publisher: Sender | None = None
    done: asyncio.Future[list[Stored]] | None = None
    """The answer to a REST client, which has no publisher."""
    taken_at: float = 0.0
    """When the append was read from its publisher's socket, on the loop's clock."""
    condition: Condition | None = None
    """Called before each attempt to store the events. Only a REST client may have one."""


class SignalItem(Struct, eq=False):
    """A signal of the session's publisher."""

    publisher: Sender
    key: str
    payload: JsonObject


class EndItem(Struct, eq=False):
    """A request to end the session."""

    status: FinalStatus
    reason: str | None
    publisher: Sender | None = None
    done: asyncio.Future[tuple[Session, bool]] | None = None
    """The session, and whether this item ended it."""
    ended_at: datetime | None = None
    """When an imported past call ended; None stands for now."""
    condition: Condition | None = None
    """Called before a session that has not ended is ended, once its log is known here."""


class ClaimItem(Struct, eq=False):
    """A publisher's claim to the session. The answer is the first message it gets."""

    publisher: Sender
    done: asyncio.Future[Opened]
    created: bool = False
    """Whether the session was created for this publisher, with epoch 1."""
    traceparent: str | None = None
    """The trace of the bot that claims the session, if traces are kept."""


class EraseItem(Struct, eq=False):
    """A request to erase the session."""

    force: bool
    """Whether to erase the session even while a publisher is connected."""
    done: asyncio.Future[bool]
    """Whether the session is hidden for good."""
    only_if: Callable[[SessionRecord], bool] | None = None
    """Checks the session as it is stored; if the check fails, the session stays."""


class ArchiveItem(Struct, eq=False):
    """A request to mark the session as archived."""

    mark: ArchiveMark
    only_if: Callable[[SessionRecord], bool]
    """Checks the session as it is stored."""
    done: asyncio.Future[bool]
    """Whether the session is archived for good."""


class AbandonItem(Struct, eq=False):
    """A request to end the session if it is over: `abandoned` by its publisher, or `expired` for lack of events."""

    reason: Literal["abandoned", "expired"]


class BeatItem(Struct, eq=False):
    """A request to raise the heartbeat, which shows other gateways that the session's publisher is here."""


class AcceptItem(Struct, eq=False):
    """A bot's list of the commands it accepts."""

    publisher: Sender
    commands: list[str]


class DepartItem(Struct, eq=False):
    """The news that the publisher of this epoch has left."""

    epoch: int


class LapseItem(Struct, eq=False):
    """A request to forget the accepted commands of a bot that has been silent for a long time."""


class CommandItem(Struct, eq=False):
    """A command to the bot."""

    command: Command
    done: asyncio.Future[CommandProgress]


class OutcomeItem(Struct, eq=False):
    """A bot's report of the outcome of a command."""

    publisher: Sender
    outcome: Outcome


class ExpireItem(Struct, eq=False):
    """A request to expire the commands that were not answered in time."""


class RenewItem(Struct, eq=False):
    """A request to read the session from the store, where another gateway may have changed it."""

    done: asyncio.Future[None] | None = None
    """Done when the session here is up to date."""


class FoundItem(Struct, eq=False):
    """Consecutive events of the session that another gateway has stored, read from the log."""

    events: Sequence[Event]
    as_of: int
    """The number of storage troubles before the events were read."""


class FiguresItem(Struct, eq=False):
    """The session's figures, computed from the events 1 to `through`."""

    figures: SessionFigures
    through: int


class AmendItem(Struct, eq=False):
    """A change of the session's metadata, by a merge patch (RFC 7396), of its language, or both; None: no change."""

    metadata: JsonObject | None
    language: str | None
    done: asyncio.Future[Session]


Item = (
    AppendItem
    | SignalItem
    | EndItem
    | ClaimItem
    | EraseItem
    | ArchiveItem
    | AbandonItem
    | BeatItem
    | RenewItem
    | FoundItem
    | FiguresItem
    | AmendItem
    | AcceptItem
    | DepartItem
    | LapseItem
    | CommandItem
    | OutcomeItem
    | ExpireItem
)
