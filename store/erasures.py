"""Erased sessions: what is kept of each until all its data is gone, and the writes that remove the data.

The order is fixed, so that any gateway that finds an unfinished erasure can complete it: first a note of what is to be
erased; then the mark, which empties the session's document and hides it from every read; then the log and the digests,
in slices of computed keys; then the document; then the note.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from pymongo.errors import WriteError

from turnwire.protocol.rules import DIGEST_PAGE
from turnwire.store.condition import DatabaseCondition
from turnwire.store.digests import digest_key, tail_key
from turnwire.store.event_documents import position_key
from turnwire.store.session_record import ERASED, NO_LIFE, Document, SessionRecord, is_erased, this_life
from turnwire.store.session_writes import refusal
from turnwire.store.sharing.places import Places

SLICE: Final = 10
"""Maximum number of documents that one write removes. The embedded database takes about 0.4 ms for each, and stores
nothing meanwhile.
"""
_DELETE: Final = "erase sessions"


class Erasure(Struct, frozen=True):
    """A session to be erased, and the length of its log."""

    session_id: str
    life: int | None
    head: int
    begun_at: datetime
    archived: bool = False
    """Whether the archive may hold something of the session."""

    @property
    def key(self) -> str:
        return f"{self.session_id}/{self.life}"


class Erasures:
    """Reads and writes of erasures. Any gateway may repeat any of them. All raise StorageUnavailable."""

    def __init__(self, database: Any, condition: DatabaseCondition) -> None:
        """`database`: a Motor database."""
        self._sessions = database["sessions"]
        self._events = database["events"]
        self._digests = database["digests"]
        self._notes = database["erasures"]
        self._condition = condition
        self._removing = Places(1)
        """Large removals, one at a time: sessions take turns, and so do commits."""

    # What is to be erased

    async def note(self, record: SessionRecord, now: datetime) -> Erasure:
        """Store a note with what is needed to complete the erasure. Nothing is erased yet."""
        erasure = Erasure(record.session_id, record.life, record.last_seq, now, record.archiving is not None)
        document = {
            "_id": erasure.key,
            "sessionId": erasure.session_id,
            "life": erasure.life,
            "head": erasure.head,
            "begunAt": now,
            "archived": erasure.archived,
        }
        await self._condition.ask(_DELETE, self._insert_note(document))
        return erasure

    async def _insert_note(self, document: Document) -> None:
        try:
            await self._notes.insert_one(document)
        except WriteError as error:
            if error.code != 11000:
                raise
            if document["archived"]:  # the note of an earlier request may not have known this
                await self._notes.update_one({"_id": document["_id"]}, {"$set": {"archived": True}})

    async def notes(self) -> list[Erasure]:
        """Return all unfinished erasures, of which there are few."""
        documents = await self._condition.ask(_DELETE, self._notes.find({}).to_list(length=None))
        return [
            Erasure(each["sessionId"], each["life"], each["head"], each["begunAt"], each.get("archived", False))
            for each in documents
        ]

    async def mark(self, record: SessionRecord, *, whoever_publishes: bool) -> bool:
        """Hide the session for good. Return False if the session differs from the record: since then, it was erased,
        its archiving has begun, or, unless `whoever_publishes`, it was claimed. Raises RefusedSession.
        """
        known = {**this_life(record), "archiving": record.archiving}
        condition = known if whoever_publishes else {**known, "epoch": record.epoch}
        mark: Document = {"status": ERASED, "life": NO_LIFE, "erasing": record.life, "lastSeq": record.last_seq}
        if record.archiving is not None:
            mark["archived"] = True
        replaced = await self._condition.ask(_DELETE, self._replace(condition, {"_id": record.session_id, **mark}))
        return bool(replaced)

    async def _replace(self, condition: Document, mark: Document) -> int:
        try:
            return int((await self._sessions.replace_one(condition, mark)).matched_count)
        except WriteError as error:
            details = {**(error.details or {}), "code": error.code}
            raise refusal(self._condition, _DELETE, condition["_id"], details) from error

    async def marked(self, session_id: str, now: datetime) -> Erasure | None:
        """Return the erasure that hides the session of this id; None if none does."""
        document = await self._condition.ask(_DELETE, self._sessions.find_one({"_id": session_id}))
        if document is None or not is_erased(document):
            return None
        archived = bool(document.get("archived"))
        return Erasure(session_id, document["erasing"], document["lastSeq"], now, archived)

    async def is_marked(self, erasure: Erasure) -> bool | None:
        """Return whether the session is hidden; None if it is gone, or never existed."""
        document = await self._condition.ask(_DELETE, self._sessions.find_one({"_id": erasure.session_id}))
        if document is None:
            return None
        if is_erased(document):
            return True if document["erasing"] == erasure.life else None
        return False if document.get("life") == erasure.life else None

    # Erasing it

    async def erase_log(self, erasure: Erasure) -> None:
        """Remove the events and digests of this life, including late events beyond the head. If another gateway has
        stored more than the note says, correct the note, because even later events would follow those."""
        session_id = erasure.session_id
        beyond = await self._sweep(self._events, erasure, lambda at: position_key(session_id, at + 1), erasure.head)
        if beyond:
            longer = self._notes.update_one({"_id": erasure.key}, {"$max": {"head": beyond}})
            await self._condition.ask(_DELETE, longer)
        pages = erasure.head // DIGEST_PAGE
        await self._sweep(self._digests, erasure, lambda at: digest_key(session_id, at), pages)
        tail = {"_id": tail_key(session_id), "sessionId": session_id, "life": erasure.life}
        await self._condition.ask(_DELETE, self._digests.delete_many(tail))

    async def _sweep(self, collection: Any, erasure: Erasure, key: Callable[[int], str], count: int) -> int:
        """Remove the documents numbered 0 to count-1, and all that follow, until a whole slice has none.

        Return the number, rounded up to a slice, up to which documents beyond `count` were found; 0 if none were.
        """
        first = beyond = 0
        while True:
            keys = [key(at) for at in range(first, first + SLICE)]
            condition: Document = {"_id": {"$in": keys}, "sessionId": erasure.session_id, "life": erasure.life}
            async with self._removing.hold(erasure.session_id):
                result = await self._condition.ask(_DELETE, collection.delete_many(condition))
            if result.deleted_count and first >= count:
                beyond = first + SLICE
            first += SLICE
            if first >= count + SLICE and not result.deleted_count:
                return beyond

    async def free(self, erasure: Erasure) -> None:
        """Remove the document, which frees the id. Call this only when the log is empty."""
        condition = {"_id": erasure.session_id, "life": NO_LIFE, "erasing": erasure.life}
        await self._condition.ask(_DELETE, self._sessions.delete_many(condition))

    async def forget(self, erasure: Erasure) -> None:
        """Drop the note, because nothing is left of the session."""
        await self._condition.ask(_DELETE, self._notes.delete_many({"_id": erasure.key}))
