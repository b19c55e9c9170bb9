"""What session documents know of commands: which ones the bot takes, and where in the log open ones may stand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

Document = dict[str, Any]


class CommandMark(Struct, frozen=True):
    """Where the log may hold commands that can still be delivered."""

    first: int
    """From this seq on."""
    until: datetime
    """After this time there are none."""

    def widened(self, until: datetime) -> CommandMark:
        return CommandMark(self.first, max(self.until, until))


class SessionCommands:
    """Writes these fields. Its methods raise StorageUnavailable."""

    def __init__(self, update: Callable[[Document, Document], Awaitable[bool]]) -> None:
        """`update` changes the session document that meets a condition, and tells whether there is one."""
        self._update = update

    async def accept(self, session: Document, epoch: int, commands: Sequence[str]) -> bool:
        """Note what the publisher of this epoch takes. False when a newer one has the session.

        `session` is the condition that finds it.
        """
        return await self._update({**session, "epoch": epoch}, {"$set": {"commands": list(commands) or None}})

    async def leave(self, session: Document, epoch: int) -> bool:
        """Note that the publisher of this epoch has left. False when a newer one has the session."""
        return await self._update({**session, "epoch": epoch}, {"$set": {"commands": None, "holder": None}})

    async def mark(self, session: Document, known: CommandMark | None, new: CommandMark) -> bool:
        """Note, before a command is stored, where it will stand. False when the stored mark is not the known one."""
        condition = {**session, "commandsUntil": None if known is None else known.until}
        return await self._update(condition, {"$set": {"commandsFrom": new.first, "commandsUntil": new.until}})


def mark_of(document: Document) -> CommandMark | None:
    until = document.get("commandsUntil")
    return None if until is None else CommandMark(document["commandsFrom"], until)
