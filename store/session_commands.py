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

    async def accept(self, session_id: str, epoch: int, commands: Sequence[str] | None) -> bool:
        """Note what the publisher of this epoch takes. False when a newer one has the session."""
        accepted = None if commands is None else list(commands)
        return await self._update({"_id": session_id, "epoch": epoch}, {"$set": {"commands": accepted}})

    async def mark(self, session_id: str, known: CommandMark | None, new: CommandMark) -> bool:
        """Note, before a command is stored, where it will stand. False when the stored mark is not the known one."""
        condition = {"_id": session_id, "commandsUntil": None if known is None else known.until}
        return await self._update(condition, {"$set": {"commandsFrom": new.first, "commandsUntil": new.until}})


def mark_of(document: Document) -> CommandMark | None:
    until = document.get("commandsUntil")
    return None if until is None else CommandMark(document["commandsFrom"], until)
