"""Writes of session documents that many calls make at the same time: each kind goes in bulks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError

from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.group_commit import GroupCommit
from turnwire.store.inserts import DUPLICATE_KEY

MAX_CREATES = 200
"""Sessions created in one insert."""
MAX_ENDS = 20
"""Sessions ended in one bulk: an end costs the database much more than an event, and events wait for it."""
_END_FIELDS = ("endedAt", "status", "endReason")

Document = dict[str, Any]


class _Create:
    __slots__ = ("document", "done", "weight")

    def __init__(self, document: Document) -> None:
        self.document = document
        self.weight = 1
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()


class Creations:
    """Inserts of new sessions. Owner of their lane."""

    def __init__(self, sessions: Any) -> None:
        self._sessions = sessions
        self._lane: GroupCommit[_Create] = GroupCommit(self._insert, max_weight=MAX_CREATES)

    async def create(self, document: Document) -> bool:
        """False when there is one of this `_id` already. Raises StorageUnavailable."""
        create = _Create(document)
        self._lane.submit(create)
        return bool(await create.done)

    async def _insert(self, batch: Sequence[_Create]) -> None:
        failed: set[int] = set()
        try:
            await self._sessions.insert_many([create.document for create in batch], ordered=False)
        except BulkWriteError as error:
            errors = error.details.get("writeErrors", [])
            if error.details.get("writeConcernErrors") or any(each["code"] != DUPLICATE_KEY for each in errors):
                raise StorageUnavailable() from error
            failed = {each["index"] for each in errors}
        except PyMongoError as error:
            raise StorageUnavailable() from error
        for index, create in enumerate(batch):
            if not create.done.done():
                create.done.set_result(int(index not in failed))

    async def close(self) -> None:
        await self._lane.close()


class _End:
    """The conditional update that ends a session."""

    __slots__ = ("change", "condition", "done", "weight")

    def __init__(self, condition: Document, change: Document) -> None:
        self.condition = condition
        self.change = change
        self.weight = 1
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def stands_in(self, document: Document | None) -> bool:
        """Whether the session has ended as this one wants it."""
        return document is not None and all(document[name] == self.change[name] for name in _END_FIELDS)


class Endings:
    """Conditional updates that end sessions. Owner of their lane."""

    def __init__(self, sessions: Any) -> None:
        self._sessions = sessions
        self._lane: GroupCommit[_End] = GroupCommit(self._update, max_weight=MAX_ENDS)

    async def end(self, condition: Document, change: Document) -> bool:
        """Whether this end stands. `condition` has the `_id`, `change` the `_END_FIELDS`. Raises StorageUnavailable."""
        end = _End(condition, change)
        self._lane.submit(end)
        return bool(await end.done)

    async def _update(self, batch: Sequence[_End]) -> None:
        """All in one bulk. A bulk only tells how many it matched: when that is not all, what stands is read."""
        updates = [UpdateOne(end.condition, {"$set": end.change}) for end in batch]
        found: dict[str, Document] | None = None
        try:
            result = await self._sessions.bulk_write(updates, ordered=False)
            if result.matched_count < len(batch):
                ids = [end.condition["_id"] for end in batch]
                documents = await self._sessions.find({"_id": {"$in": ids}}).to_list(length=None)
                found = {document["_id"]: document for document in documents}
        except PyMongoError as error:
            raise StorageUnavailable() from error
        for end in batch:
            if not end.done.done():
                end.done.set_result(int(found is None or end.stands_in(found.get(end.condition["_id"]))))

    async def close(self) -> None:
        await self._lane.close()
