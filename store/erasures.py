"""Sessions that are erased: what is kept of one until nothing of it is left, and the writes that remove it.

In this order, so that whoever finds an erasure half done can finish it: a note of what is to be erased, then the mark,
which takes all that was known of the session out of its document and hides it from every read, then the log and the
digests in slices of computed keys, the document, and the note.
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

SLICE: Final = 20
"""Documents that one write removes. The embedded database takes about 0.4 ms for each, and stores nothing meanwhile."""
_DELETE: Final = "erase sessions"


class Erasure(Struct, frozen=True):
    """A session that is to be erased, and how far its log went."""

    session_id: str
    life: int | None
    head: int
    begun_at: datetime
    archived: bool = False
    """Whether there may be something of it in the archive."""

    @property
    def key(self) -> str:
        return f"{self.session_id}/{self.life}"


class Erasures:
    """Reads and writes of erasures. Every one may be repeated, by any gateway. All raise StorageUnavailable."""

    def __init__(self, database: Any, condition: DatabaseCondition) -> None:
        """On the collections of a Motor database."""
        self._sessions = database["sessions"]
        self._events = database["events"]
        self._digests = database["digests"]
        self._notes = database["erasures"]
        self._condition = condition

    # What is to be erased

    async def note(self, record: SessionRecord, now: datetime) -> Erasure:
        """Keep what is needed to finish the erasure. Nothing is erased yet."""
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
            if document["archived"]:  # somebody else wants it as well, and may not have known this
                await self._notes.update_one({"_id": document["_id"]}, {"$set": {"archived": True}})

    async def notes(self) -> list[Erasure]:
        """All erasures that have not come to their end: few."""
        documents = await self._condition.ask(_DELETE, self._notes.find({}).to_list(length=None))
        return [
            Erasure(each["sessionId"], each["life"], each["head"], each["begunAt"], each.get("archived", False))
            for each in documents
        ]

    async def mark(self, record: SessionRecord, *, whoever_publishes: bool) -> bool:
        """Hide the session from now on, for good. False when it is not as the record has it: erased since, or, unless
        `whoever_publishes`, claimed since, or begun to be archived since. Raises RefusedSession."""
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
        """The erasure of this id that hides a session; None when there is none."""
        document = await self._condition.ask(_DELETE, self._sessions.find_one({"_id": session_id}))
        if document is None or not is_erased(document):
            return None
        archived = bool(document.get("archived"))
        return Erasure(session_id, document["erasing"], document["lastSeq"], now, archived)

    async def is_marked(self, erasure: Erasure) -> bool | None:
        """Whether the session is hidden; None when it is gone, or was never there."""
        document = await self._condition.ask(_DELETE, self._sessions.find_one({"_id": erasure.session_id}))
        if document is None:
            return None
        if is_erased(document):
            return True if document["erasing"] == erasure.life else None
        return False if document.get("life") == erasure.life else None

    # Erasing it

    async def erase_log(self, erasure: Erasure) -> None:
        """Remove the events and digests of this life, also those beyond the head that came late."""
        session_id = erasure.session_id
        await self._sweep(self._events, erasure, lambda at: position_key(session_id, at + 1), erasure.head)
        pages = erasure.head // DIGEST_PAGE
        await self._sweep(self._digests, erasure, lambda at: digest_key(session_id, at), pages)
        tail = {"_id": tail_key(session_id), "sessionId": session_id, "life": erasure.life}
        await self._condition.ask(_DELETE, self._digests.delete_many(tail))

    async def _sweep(self, collection: Any, erasure: Erasure, key: Callable[[int], str], count: int) -> None:
        """Remove the documents number 0 to count-1, and all that follow without a gap."""
        first = 0
        while True:
            keys = [key(at) for at in range(first, first + SLICE)]
            condition: Document = {"_id": {"$in": keys}, "sessionId": erasure.session_id, "life": erasure.life}
            result = await self._condition.ask(_DELETE, collection.delete_many(condition))
            first += SLICE
            if first >= count and not result.deleted_count:
                return

    async def free(self, erasure: Erasure) -> None:
        """Remove the document, and thereby free the id. To be called when the log is empty."""
        condition = {"_id": erasure.session_id, "life": NO_LIFE, "erasing": erasure.life}
        await self._condition.ask(_DELETE, self._sessions.delete_many(condition))

    async def forget(self, erasure: Erasure) -> None:
        """Nothing is left of it."""
        await self._condition.ask(_DELETE, self._notes.delete_many({"_id": erasure.key}))
