"""What a lane reads of the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from turnwire.store.event_documents import Document, Mark


class LogReader(Protocol):
    """What a lane reads of the log, with read concern majority. All raise StorageUnavailable."""

    async def found(self, positions: Sequence[Document]) -> dict[str, Document]:
        """Return the IDENTITY of the events at these positions (`_id`, `sessionId`), by `_id`. Skip empty positions."""

    async def holds(self, session_id: str, seq: int) -> bool:
        """Return whether the position holds an event, for certain."""

    async def stands(self, session_id: str, mark: Mark) -> bool:
        """Return for certain whether the log holds this event."""
