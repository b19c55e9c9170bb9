"""Revoked credentials: a log like that of events, whose positions are its keys, so that nothing needs a scan."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pymongo.errors import DuplicateKeyError, PyMongoError

from turnwire.protocol.errors import StorageUnavailable

_WINDOW = 100


class RevocationLog:
    """Entries at positions 1, 2, 3 …, without holes, never changed. Methods raise StorageUnavailable."""

    def __init__(self, revocations: Any) -> None:
        self._revocations = revocations
        self._head = 0
        """A position that is taken, as far as we know the last."""

    async def append(self, mark: str, before: float | None) -> int:
        """The new entry's position; durable when this returns. `before` is in seconds since 1970.

        When it raises, the entry may be there or not; there being two of them does no harm.
        """
        entry = {"mark": mark, "before": before, "at": datetime.now(UTC)}
        while True:
            await self._find_head()
            try:
                await self._revocations.insert_one({"_id": _key(self._head + 1), **entry})
            except DuplicateKeyError:
                continue  # another gateway was faster
            except PyMongoError as error:
                raise StorageUnavailable() from error
            self._head += 1
            return self._head

    async def read_after(self, position: int) -> list[tuple[str, float | None]]:
        """The entries behind this position, in order, at most some hundred."""
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
