"""Revoked credentials, in a log keyed by position, like that of events, so that no query scans."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pymongo.errors import DuplicateKeyError, PyMongoError

from turnwire.protocol.errors import StorageUnavailable

_WINDOW = 100


class RevocationStore:
    """The stored entries, at positions 1, 2, 3 … without holes. Entries never change. Methods raise
    StorageUnavailable."""

    def __init__(self, revocations: Any) -> None:
        self._revocations = revocations
        self._head = 0
        """The last position known to be taken."""

    async def append(self, mark: str, before: float | None) -> int:
        """Store an entry durably, and return its position. `before` is in seconds since 1970.

        If this raises, the entry may or may not be stored. Storing it twice does no harm.
        """
        entry = {"mark": mark, "before": before, "at": datetime.now(UTC)}
        while True:
            await self._find_head()
            position = self._head + 1  # another gateway that appends at the same time moves the head
            try:
                await self._revocations.insert_one({"_id": _key(position), **entry})
            except DuplicateKeyError:
                continue  # another gateway was faster
            except PyMongoError as error:
                raise StorageUnavailable() from error
            self._head = max(self._head, position)
            return position

    async def read_after(self, position: int) -> list[tuple[str, float | None]]:
        """Return up to 100 entries after this position, in order: (mark, before)."""
        keys = [_key(position + step) for step in range(1, _WINDOW + 1)]
        try:
            documents = await self._revocations.find({"_id": {"$in": keys}}).to_list(length=None)
        except PyMongoError as error:
            raise StorageUnavailable() from error
        found = {document["_id"]: (document["mark"], document["before"]) for document in documents}
        entries = []
        for key in keys:
            if key not in found:
                break
            entries.append(found[key])
        self._head = max(self._head, position + len(entries))
        return entries

    async def _find_head(self) -> None:
        while await self.read_after(self._head):
            pass


def _key(position: int) -> str:
    return f"{position:010d}"
