"""Reads of the log, which leave the database and the driver's threads to commits."""

from __future__ import annotations

from typing import Any, Final

from turnwire.store.condition import DatabaseCondition
from turnwire.store.driver.loop import MOST_THREADS
from turnwire.store.event_documents import Document
from turnwire.store.sharing.places import Places

READ_WINDOW: Final = 50
"""The most positions of one query. With more, the embedded database takes longer for each key."""
_SHORT_WINDOW: Final = 25
"""The same for whole documents, on a database whose commits wait for a query."""
_AT_ONCE_EMBEDDED: Final = 1
"""Reads of many documents at a time. The embedded database has one core, and takes a quarter of a millisecond for
each document; a commit waits meanwhile."""
_AT_ONCE: Final = max(2, MOST_THREADS // 2)
_FEW: Final = 10
_OF_FEW_EMBEDDED: Final = 2
"""Reads of a few documents at a time: one is read while the gateway works on the other."""


class Reads:
    """Finds documents of one collection. Only a few reads of several whole documents are under way at a time, and
    sessions get equal shares of them. The ids of a log, which a publisher waits for, are read at once."""

    def __init__(self, collection: Any, condition: DatabaseCondition, *, embedded: bool) -> None:
        self._collection = collection
        self._condition = condition
        self.window = _SHORT_WINDOW if embedded else READ_WINDOW
        """The most documents to ask for at a time."""
        self._many = Places(_AT_ONCE_EMBEDDED if embedded else _AT_ONCE)
        self._few = Places(_OF_FEW_EMBEDDED if embedded else _AT_ONCE)

    async def find(
        self, wanted: Document, projection: dict[str, int] | None, *, count: int, session_id: str | None = None
    ) -> list[Document]:
        """Return the documents that are wanted. `count`: how many there may be. Raises StorageUnavailable."""
        if count == 1 or projection is not None:
            return await self._find(wanted, projection)
        places = self._few if count <= _FEW else self._many
        async with places.hold(session_id, float(count)):
            return await self._find(wanted, projection)

    async def _find(self, wanted: Document, projection: dict[str, int] | None) -> list[Document]:
        answer = self._collection.find(wanted, projection).to_list(length=None)
        found: list[Document] = await self._condition.ask("read events", answer)
        return found
