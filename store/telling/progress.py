"""How far an endpoint has been told about each session: one small document for each session that is not finished."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from pymongo import UpdateOne

from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.condition import DatabaseCondition
from turnwire.store.session_writes import write_bulk
from turnwire.store.sharing.places import Places
from turnwire.store.telling.unended import UNENDED, read_unended

Document = dict[str, Any]
MAX_WRITES = 16
"""Maximum number of documents in one bulk. Acks wait for the bulk on the embedded database, about 0.8 ms for each
document.
"""
_READ = "read the progress of webhooks"
_UPDATE = "update the progress of webhooks"
_TAKEN = 11000


class Told(Struct, kw_only=True):
    """What an endpoint has been told about one session."""

    session_id: str
    life: int | None
    started_at: datetime
    ended_at: datetime | None = None
    """When the session ended. Set once the end has been told, or was not wanted."""
    created: bool = False
    """Whether the beginning has been told, or was not wanted."""
    seq: int = 0
    """The seq up to which events have been told, or were not wanted."""
    failures: int = 0
    """The number of times the next message has failed."""
    failing_since: datetime | None = None
    stored: bool = False
    """Whether the store has a document of this progress."""

    def meet(self, life: int | None, started_at: datetime) -> None:
        """Take in the session's current life. A new life has been told nothing yet."""
        if life != self.life:
            self.life, self.started_at, self.ended_at, self.created, self.seq = life, started_at, None, False, 0
            self.taken()

    def taken(self) -> None:
        """Record that the endpoint has taken a message."""
        self.failures, self.failing_since = 0, None

    def failed(self, now: datetime) -> float:
        """Record another failure of the next message. Return for how many seconds it has been failing."""
        self.failures += 1
        self.failing_since = self.failing_since or now
        return (now - self.failing_since).total_seconds()


class Begun(Struct, frozen=True):
    """A session as it is found in the store."""

    session_id: str
    life: int | None
    started_at: datetime
    ended_at: datetime | None
    last_seq: int
    """The stored value, which may be behind the log."""
    imported: bool
    """Whether this is an imported past call, about which nothing is told."""


class ProgressStore:
    """Reads and writes of progress. All methods raise StorageUnavailable, and may be repeated.

    `key` is the `Endpoint.progress_key`.
    """

    def __init__(
        self, progress: Any, sessions: Any, condition: DatabaseCondition | None = None, *, embedded: bool = False
    ) -> None:
        """`progress`, `sessions`: Motor collections. `embedded`: whether they are in the embedded database."""
        self._progress = progress
        self._sessions = sessions
        self._condition = condition or DatabaseCondition()
        self._embedded = embedded
        self._places = Places(1)
        self._free_at = float("-inf")
        """When the next bulk may begin, on the loop's clock."""
        self._reading = asyncio.Lock()
        self._next_read: asyncio.Task[list[Begun]] | None = None
        """The read of `unended` that has not begun yet."""

    async def load(self, key: str) -> list[Told]:
        """Return the progress of every unfinished session."""
        documents = await self._condition.ask(_READ, self._progress.find({"endpoint": key}).to_list(length=None))
        return [_told_of(document) for document in documents]

    async def save(self, key: str, told: Sequence[Told]) -> None:
        """Write the progress of these sessions. All endpoints together have one bulk under way at a time."""
        for start in range(0, len(told), MAX_WRITES):
            some = told[start : start + MAX_WRITES]
            async with self._turn(key):
                await self._update(key, [each for each in some if each.stored])
                await self._insert(key, [each for each in some if not each.stored])

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[None]:
        """Hold the only place for writes. Between two of them, the database is left to others for as long as the first
        one took."""
        clock = asyncio.get_running_loop().time
        async with self._places.hold(key):
            await asyncio.sleep(self._free_at - clock())
            began = clock()
            try:
                yield
            finally:
                self._free_at = 2 * clock() - began

    async def _insert(self, key: str, told: Sequence[Told]) -> None:
        if not told:
            return
        documents = [_document_of(key, each) for each in told]
        _, errors = await write_bulk(self._condition, _UPDATE, self._progress.insert_many(documents, ordered=False))
        for each in told:
            each.stored = True
        if any(error.get("code") != _TAKEN for error in errors.values()):
            raise StorageUnavailable
        await self._update(key, [told[at] for at in errors])  # an earlier attempt had stored them after all

    async def _update(self, key: str, told: Sequence[Told]) -> None:
        if told:
            updates = [UpdateOne({"_id": _id_of(key, each.session_id)}, {"$set": _fields_of(each)}) for each in told]
            await write_bulk(self._condition, _UPDATE, self._progress.bulk_write(updates, ordered=False))

    async def remove(self, key: str, session_ids: Sequence[str]) -> None:
        """Forget these sessions."""
        for start in range(0, len(session_ids), MAX_WRITES):
            ids = [_id_of(key, each) for each in session_ids[start : start + MAX_WRITES]]
            async with self._turn(key):
                await self._condition.ask(_UPDATE, self._progress.delete_many({"_id": {"$in": ids}}))

    async def clear(self, key: str) -> None:
        """Forget all sessions."""
        await self._condition.ask(_UPDATE, self._progress.delete_many({"endpoint": key}))

    async def begun(self, since: datetime, before: datetime) -> list[Begun]:
        """Return the sessions that began in this period, excluding its end, in any order."""
        return await self._find({"startedAt": {"$gte": since, "$lt": before}})

    async def unended(self) -> list[Begun]:
        """Return the sessions that have not ended by their stored fields. A session may be in it twice.

        Expensive: reads all of them. So endpoints that ask while they are being read share the next read.
        """
        if self._next_read is None:
            self._next_read = asyncio.create_task(self._read_unended())
            self._next_read.add_done_callback(_retrieve)
        return await asyncio.shield(self._next_read)

    async def _read_unended(self) -> list[Begun]:
        async with self._reading:
            self._next_read = None  # those who ask from now on may need sessions that this read does not see
            if self._embedded:
                return await read_unended(self._find, datetime.now(UTC))
            return await self._find({"status": {"$in": UNENDED}})

    async def _find(self, condition: Document) -> list[Begun]:
        fields = dict.fromkeys(("life", "startedAt", "endedAt", "lastSeq", "importing", "importedAt", "epoch"), 1)
        found = self._sessions.find(condition, fields).to_list(length=None)
        return [_begun_of(document) for document in await self._condition.ask(_READ, found)]


def _retrieve(read: asyncio.Task[list[Begun]]) -> None:
    """Retrieve the error of a read, because nobody else does if all who waited for it have been cancelled."""
    if not read.cancelled():
        read.exception()


def _id_of(key: str, session_id: str) -> str:
    return f"{key}/{session_id}"


def _fields_of(told: Told) -> Document:
    return {
        "life": told.life,
        "startedAt": told.started_at,
        "endedAt": told.ended_at,
        "created": told.created,
        "seq": told.seq,
        "failures": told.failures,
        "failingSince": told.failing_since,
    }


def _document_of(key: str, told: Told) -> Document:
    return {"_id": _id_of(key, told.session_id), "endpoint": key, "sessionId": told.session_id, **_fields_of(told)}


def _told_of(document: Document) -> Told:
    return Told(
        session_id=document["sessionId"],
        life=document["life"],
        started_at=document["startedAt"],
        ended_at=document["endedAt"],
        created=document["created"],
        seq=document["seq"],
        failures=document["failures"],
        failing_since=document["failingSince"],
        stored=True,
    )


def _begun_of(document: Document) -> Begun:
    imported = "importedAt" in document or (document.get("importing", False) and not document["epoch"])
    return Begun(
        document["_id"],
        document.get("life"),
        document["startedAt"],
        document["endedAt"],
        document["lastSeq"],
        imported,
    )
