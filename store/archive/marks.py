"""What the documents of sessions say about the archive, and the removal of archived events from the log.

The order is fixed, so that a crash at any moment leaves the session in the database, in the archive, or in both: the
attempt is noted, the objects are written and verified, the session is marked, its log is removed, and the removal is
noted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from turnwire.protocol.rules import DIGEST_PAGE
from turnwire.store.archive.mark import ArchiveMark, Document, archive_mark_of
from turnwire.store.condition import DatabaseCondition
from turnwire.store.digests import digest_key, tail_key
from turnwire.store.event_documents import position_key
from turnwire.store.session_record import SessionRecord, is_erased, this_life

SLICE: Final = 10
"""Maximum number of documents that one write removes. The embedded database takes about 0.4 ms for each, and acks wait
meanwhile."""
_PAUSE_FACTOR: Final = 3
"""The pause after each write, as a multiple of the write's duration: acks come first."""
_LONGEST_PAUSE: Final = 1.0
_NOTE: Final = "note what is archived"
_DELETE: Final = "remove archived events"
_FIELDS: Final = {"life": 1, "status": 1, "archived": 1}


class ArchivedSession(Struct, frozen=True):
    """A stored session whose log is archived."""

    life: int | None
    mark: ArchiveMark


class ArchiveMarks:
    """Reads and writes on the collections of a Motor database. All of them can be repeated, and raise
    StorageUnavailable."""

    def __init__(self, database: Any, condition: DatabaseCondition) -> None:
        self._sessions = database["sessions"]
        self._events = database["events"]
        self._digests = database["digests"]
        self._condition = condition

    async def find(self, session_id: str) -> ArchivedSession | None:
        """Return what is archived of this session. None if nothing is, or if the session is being erased."""
        found = self._sessions.find_one({"_id": session_id}, _FIELDS)
        document = await self._condition.ask(_NOTE, found)
        if document is None or is_erased(document):
            return None
        mark = archive_mark_of(document)
        return None if mark is None else ArchivedSession(document.get("life"), mark)

    async def begin(self, record: SessionRecord, attempt: str) -> bool:
        """Note that the archive may hold objects of this attempt from now on.

        Return False if the session has been erased or archived since. An older attempt can no longer be completed.
        """
        condition = {**this_life(record), "endedAt": record.ended_at, "archived": None}
        return await self._update(condition, {"archiving": attempt})

    async def is_begun(self, record: SessionRecord, attempt: str) -> bool:
        """Return whether the attempt can still be completed."""
        found = self._sessions.find_one({**this_life(record), "archiving": attempt}, _FIELDS)
        return await self._condition.ask(_NOTE, found) is not None

    async def seal(self, record: SessionRecord, mark: ArchiveMark) -> bool:
        """Note that the whole log is in the archive. Return False if the session has been erased, or another attempt
        begun."""
        head = {"lastSeq": record.last_seq, "lastEventAt": record.last_event_at}
        condition = {**this_life(record), "archiving": mark.attempt}
        return await self._update(condition, {**head, "archived": mark.document()})

    async def clear(self, record: SessionRecord, mark: ArchiveMark) -> bool:
        """Remove the archived events and the digests from the log by computed keys, then note the removal."""
        session_id = record.session_id
        await self._remove(self._events, record, lambda at: position_key(session_id, at + 1), mark.events)
        await self._remove(self._digests, record, lambda at: digest_key(session_id, at), mark.events // DIGEST_PAGE)
        await self._remove(self._digests, record, lambda _: tail_key(session_id), 1)
        condition = {**this_life(record), "archiving": mark.attempt}
        return await self._update(condition, {"archived": replace(mark, cleared=True).document()})

    async def _remove(self, collection: Any, record: SessionRecord, key: Callable[[int], str], count: int) -> None:
        for first in range(0, count, SLICE):
            keys = [key(at) for at in range(first, min(first + SLICE, count))]
            condition: Document = {"_id": {"$in": keys}, "sessionId": record.session_id, "life": record.life}
            began = time.perf_counter()
            await self._condition.ask(_DELETE, self._delete(collection, condition))
            await asyncio.sleep(min(_LONGEST_PAUSE, _PAUSE_FACTOR * (time.perf_counter() - began)))

    async def _delete(self, collection: Any, condition: Document) -> None:
        await collection.delete_many(condition)

    async def _update(self, condition: Document, fields: Document) -> bool:
        result = await self._condition.ask(_NOTE, self._sessions.update_one(condition, {"$set": fields}))
        return bool(result.matched_count)
