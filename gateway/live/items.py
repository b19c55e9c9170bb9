"""The items that a live session's task handles, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

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


class Stored(Struct, frozen=True):
    """The answer to one event of a REST append: the event as first stored, and whether it was there before."""

    event: Event
    duplicate: bool


class CommandAnswered(Struct, frozen=True):
    """How far a command is, and whether it had been asked for before."""

    outcome: Outcome
    replayed: bool


class AppendItem(Struct, eq=False):
    """Events of one sender, in order."""

    events: Sequence[EventIn | BadEvent]
    weight: int
    """Bytes, as received."""
    received_at: datetime
    publisher: Sender | None = None
    done: asyncio.Future[list[Stored]] | None = None
    """The answer to REST, which has no publisher."""
    taken_at: float = 0.0
    """When it was read from its publisher's socket, on the loop's clock."""


class SignalItem(Struct, eq=False):
    publisher: Sender
    key: str
    payload: JsonObject


class EndItem(Struct, eq=False):
    """Complete the session."""

    status: FinalStatus
    reason: str | None
    publisher: Sender | None = None
    done: asyncio.Future[tuple[Session, bool]] | None = None
    """The session, and whether it was this item that ended it."""


class ClaimItem(Struct, eq=False):
    """A publisher wants the session. The answer is its first message."""

    publisher: Sender
    done: asyncio.Future[Opened]
    created: bool = False
    """Whether the session was created for this publisher, with the epoch raised to 1 for it."""


class AbandonItem(Struct, eq=False):
    """End the session, if it turns out to be over: `abandoned` by its publisher, or `expired` without any event."""

    reason: Literal["abandoned", "expired"]


class BeatItem(Struct, eq=False):
    """Show other gateways that the session's publisher is here."""


class AcceptItem(Struct, eq=False):
    """A bot says which commands it carries out."""

    publisher: Sender
    commands: list[str]


class DepartItem(Struct, eq=False):
    """The bot that took commands has left."""


class CommandItem(Struct, eq=False):
    """Somebody asks the bot to do something."""

    command: Command
    done: asyncio.Future[CommandAnswered]


class OutcomeItem(Struct, eq=False):
    """A bot says what became of a command."""

    publisher: Sender
    outcome: Outcome


class ExpireItem(Struct, eq=False):
    """Write down which commands were not answered in time."""


class RenewItem(Struct, eq=False):
    """Know all that the store knows: somebody else may have changed the session."""

    done: asyncio.Future[None] | None = None
    """Done when the session here knows as much."""


class FoundItem(Struct, eq=False):
    """Somebody else has stored these consecutive events of the session; they were read from the log."""

    events: Sequence[Event]
    as_of: int
    """The storage's troubles before they were read."""


class FiguresItem(Struct, eq=False):
    """The session's figures, of the events 1 to `through`."""

    figures: SessionFigures
    through: int


class AmendItem(Struct, eq=False):
    """Change the session's metadata by a merge patch (RFC 7396), its language, or both; None leaves either."""

    metadata: JsonObject | None
    language: str | None
    done: asyncio.Future[Session]


Item = (
    AppendItem
    | SignalItem
    | EndItem
    | ClaimItem
    | AbandonItem
    | BeatItem
    | RenewItem
    | FoundItem
    | FiguresItem
    | AmendItem
    | AcceptItem
    | DepartItem
    | CommandItem
    | OutcomeItem
    | ExpireItem
)
