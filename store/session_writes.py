"""Bulk writes of session documents, for the kinds of writes that many callers make concurrently.

If the database refuses a document, the other documents of its bulk are still written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from bson.errors import BSONError
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DocumentTooLarge

from turnwire.protocol.errors import RefusedSession, StorageUnavailable
from turnwire.store.condition import DatabaseCondition
from turnwire.store.lanes.group_commit import GroupCommit
from turnwire.store.lanes.lines import PlainLine
from turnwire.store.lanes.shard_hash import lane_of
from turnwire.store.lanes.write_errors import Fault, as_failure, fault_of, reason_in

MAX_CREATES = 200
"""Maximum number of sessions created in one insert."""
_BYTES_PER_WEIGHT = 1024
"""Bytes of large metadata that count as one session: events wait until an insert is done."""
MAX_ENDS = 20
"""Maximum number of sessions ended in one bulk. An end costs the database much more than an event, and delays events.
"""
_INSERT = "insert into sessions"
_UPDATE = "update sessions"
_ROUNDS = 3
"""How many times an end is tried while others change its session."""
_UNENCODABLE = (BSONError, DocumentTooLarge, OverflowError, TypeError, ValueError)

Document = dict[str, Any]
_log = logging.getLogger("turnwire.store")


async def write_bulk(condition: DatabaseCondition, operation: str, bulk: Any) -> tuple[int, dict[int, Document]]:
    """Await an unordered bulk of the driver. Return how many documents it matched, and its write errors by index.

    Raises StorageUnavailable if it is unknown which writes are durable.
    """
    return await condition.ask(operation, _errors_of(bulk))


async def _errors_of(bulk: Any) -> tuple[int, dict[int, Document]]:
    try:
        result = await bulk
    except BulkWriteError as error:
        details: Mapping[str, Any] = error.details
        if details.get("writeConcernErrors"):
            raise
        return int(details.get("nMatched", 0)), {each["index"]: each for each in details.get("writeErrors", [])}
    return int(getattr(result, "matched_count", 0)), {}


class _Create:
    __slots__ = ("document", "done", "weight")

    def __init__(self, document: Document) -> None:
        self.document = document
        metadata = document["metadata"]
        self.weight = 1 + (len(metadata) // _BYTES_PER_WEIGHT if type(metadata) is bytes else 0)
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def answer(self, condition: DatabaseCondition, error: Document | None) -> None:
        if self.done.done():
            return
        fault = None if error is None else fault_of(error)
        if error is None or fault is Fault.TAKEN:
            self.done.set_result(int(error is None))
        else:
            self.done.set_exception(refusal(condition, _INSERT, self.document["_id"], error))


def refusal(condition: DatabaseCondition, operation: str, session_id: str, error: Document) -> Exception:
    """Return the error for the caller whose document was not written."""
    if fault_of(error) is Fault.TROUBLE:
        return condition.trouble(operation, as_failure(error))
    _log.error("session %r is refused: %s", session_id, reason_in(error))
    return RefusedSession(session_id, reason_in(error))


class SessionInserts:
    """Inserts of new sessions. Owner of their lanes."""

    def __init__(self, sessions: Any, condition: DatabaseCondition, lanes: int) -> None:
        self._sessions = sessions
        self._condition = condition
        self._lanes: list[GroupCommit[_Create]] = [
            GroupCommit(self._insert, PlainLine(MAX_CREATES)) for _ in range(lanes)
        ]

    async def create(self, document: Document) -> bool:
        """Insert a document. Return False if the `_id` exists already. Raises StorageUnavailable, RefusedSession."""
        create = _Create(document)
        self._lanes[lane_of(document["_id"], len(self._lanes))].submit(create)
        return bool(await create.done)

    async def _insert(self, batch: Sequence[_Create]) -> None:
        documents = [create.document for create in batch]
        try:
            _, errors = await write_bulk(self._condition, _INSERT, self._sessions.insert_many(documents, ordered=False))
        except _UNENCODABLE as error:
            await self._insert_each(batch, error)
            return
        for index, create in enumerate(batch):
            create.answer(self._condition, errors.get(index))

    async def _insert_each(self, batch: Sequence[_Create], error: Exception) -> None:
        """Insert one by one, after a bulk was not sent because one of its documents cannot be encoded."""
        if len(batch) == 1:
            batch[0].done.set_exception(RefusedSession(batch[0].document["_id"], str(error)))
            return
        for create in batch:
            try:
                await self._insert([create])
            except StorageUnavailable as away:
                create.done.set_exception(away)

    async def close(self) -> None:
        for lane in self._lanes:
            await lane.close()


class _End:
    """The conditional update that ends a session."""

    __slots__ = ("change", "condition", "done", "lazy", "weight")

    def __init__(self, condition: Document, change: Document, lazy: Document) -> None:
        self.condition = condition
        self.change = change
        self.lazy = lazy
        self.weight = 1
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def session_id(self) -> str:
        return str(self.condition["_id"])

    def update(self, stored: Document | None) -> UpdateOne:
        """Return the driver's update. It writes the lazy fields too, unless the store is known to have later ones."""
        if stored is not None and stored["lastSeq"] > self.lazy["lastSeq"]:
            return UpdateOne(self.condition, {"$set": self.change})
        known = {"lastSeq": {"$lte": self.lazy["lastSeq"]}}
        fields = {name: value for name, value in self.lazy.items() if name != "heartbeat"}
        raised = {"$max": {"heartbeat": self.lazy["heartbeat"]}}
        return UpdateOne({**self.condition, **known}, {"$set": {**fields, **self.change}, **raised})

    def stands_in(self, document: Document | None) -> bool:
        """Return whether this update, or an earlier attempt at it, has ended the session."""
        return document is not None and document.get("endedBy") == self.change["endedBy"]

    def is_possible(self, document: Document | None) -> bool:
        """Return whether the session meets the conditions."""
        return document is not None and all(document.get(name) == value for name, value in self.condition.items())


class Endings:
    """Conditional updates that end sessions. Owner of their lanes."""

    def __init__(self, sessions: Any, condition: DatabaseCondition, lanes: int) -> None:
        self._sessions = sessions
        self._condition = condition
        self._lanes: list[GroupCommit[_End]] = [GroupCommit(self._update, PlainLine(MAX_ENDS)) for _ in range(lanes)]

    async def end(self, condition: Document, change: Document, lazy: Document) -> bool:
        """End a session, and return whether this end stands.

        `condition` has the `_id`, and `change` an `endedBy` that no other end has. The `lazy` fields are written with
        it if they are later than the stored ones. Raises StorageUnavailable, RefusedSession.
        """
        end = _End(condition, change, lazy)
        self._lanes[lane_of(end.session_id, len(self._lanes))].submit(end)
        return bool(await end.done)

    async def _update(self, batch: Sequence[_End]) -> None:
        """Write all ends in one bulk. The answer says only how many ends matched. If not all of them did, read the
        stored sessions."""
        found: dict[str, Document] = {}
        left = list(batch)
        for _ in range(_ROUNDS):
            updates = [end.update(found.get(end.session_id)) for end in left]
            matched, errors = await write_bulk(
                self._condition, _UPDATE, self._sessions.bulk_write(updates, ordered=False)
            )
            for index, error in errors.items():
                _fail(left[index], refusal(self._condition, _UPDATE, left[index].session_id, error))
            if matched == len(left):
                _settle(left, True)
                return
            found = await self._read([end.session_id for end in left])
            left = [end for end in left if not end.done.done()]
            _settle([end for end in left if end.stands_in(found.get(end.session_id))], True)
            left = [end for end in left if not end.done.done()]
            _settle([end for end in left if not end.is_possible(found.get(end.session_id))], False)
            left = [end for end in left if not end.done.done()]
            if not left:
                return
        for end in left:
            _fail(end, StorageUnavailable())

    async def _read(self, ids: Sequence[str]) -> dict[str, Document]:
        cursor = self._sessions.find({"_id": {"$in": list(ids)}})
        documents = await self._condition.ask("read sessions", cursor.to_list(length=None))
        return {document["_id"]: document for document in documents}

    async def close(self) -> None:
        for lane in self._lanes:
            await lane.close()


def _settle(ends: Sequence[_End], stands: bool) -> None:
    for end in ends:
        if not end.done.done():
            end.done.set_result(int(stands))


def _fail(end: _End, error: Exception) -> None:
    if not end.done.done():
        end.done.set_exception(error)
