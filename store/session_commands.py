"""The fields of session documents about commands: which ones the bot accepts, and where the log may hold undelivered
ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

Document = dict[str, Any]


class CommandMark(Struct, frozen=True):
    """The part of the log that may hold commands still to be delivered."""

    first: int
    """The first seq that may hold one."""
    until: datetime
    """The time after which none can be delivered."""

    def widened(self, until: datetime) -> CommandMark:
        return CommandMark(self.first, max(self.until, until))


class SessionCommands:
    """Writes of these fields. Methods raise StorageUnavailable."""

    def __init__(self, update: Callable[[Document, Document], Awaitable[bool]]) -> None:
        """`update` changes the session document that meets a condition, and returns whether there is one."""
        self._update = update

    async def accept(self, session: Document, epoch: int, commands: Sequence[str]) -> bool:
        """Store the commands that the publisher of this epoch accepts. Return False if a newer publisher has the
        session.

        `session` is the condition that finds the session.
        """
        return await self._update({**session, "epoch": epoch}, {"$set": {"commands": list(commands) or None}})

    async def leave(self, session: Document, epoch: int) -> bool:
        """Record that the publisher of this epoch has left. Return False if a newer publisher has the session."""
        return await self._update({**session, "epoch": epoch}, {"$set": {"commands": None, "holder": None}})

    async def mark(self, session: Document, known: CommandMark | None, new: CommandMark) -> bool:
        """Store where a command will be, before it is stored. Return False if the stored mark is not `known`."""
        condition = {**session, "commandsUntil": None if known is None else known.until}
        return await self._update(condition, {"$set": {"commandsFrom": new.first, "commandsUntil": new.until}})


def mark_of(document: Document) -> CommandMark | None:
    until = document.get("commandsUntil")
    return None if until is None else CommandMark(document["commandsFrom"], until)
