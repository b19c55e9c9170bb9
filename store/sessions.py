"""Session documents: created once, claimed by publishers, ended once, and otherwise written lazily."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import FinalStatus, JsonObject
from turnwire.protocol.rules import has_ended
from turnwire.store.session_pages import SessionPages, SessionQuery
from turnwire.store.session_record import Document, SessionRecord, document_of, kept_figures, lazy_fields, record_of
from turnwire.store.session_writes import Creations, Endings

MAX_UPDATES = 100
"""Lazy updates in one bulk."""
_MILLISECOND = timedelta(milliseconds=1)

__all__ = ["MAX_UPDATES", "SessionQuery", "SessionRecord", "SessionStore"]


class SessionStore:
    """Reads and writes session documents. Every method raises StorageUnavailable when the database does not answer;
    what a write should have done may then have happened or not."""

    def __init__(self, sessions: Any) -> None:
        self._sessions = sessions
        self._pages = SessionPages(sessions)
        self._creations = Creations(sessions)
        self._endings = Endings(sessions)

    async def create(self, record: SessionRecord) -> bool:
        """Store a new session. False when there is one of this id already: that one is left as it is."""
        return await self._creations.create(document_of(record))

    async def load(self, session_id: str) -> SessionRecord | None:
        try:
            document = await self._sessions.find_one({"_id": session_id})
        except PyMongoError as error:
            raise StorageUnavailable() from error
        return None if document is None else record_of(document)

    async def claim(self, record: SessionRecord) -> bool:
        """Raise the epoch by one. False when the session is not as the record has it: claimed since, ended, …"""
        known = {"epoch": record.epoch, "endedAt": record.ended_at, "timeOrdered": record.time_ordered}
        return await self._update({"_id": record.session_id, **known}, {"$set": {"epoch": record.epoch + 1}})

    async def mark_time_disordered(self, session_id: str) -> None:
        """Note, before the first such event is stored, that timestamps do not rise with seq."""
        await self._update({"_id": session_id}, {"$set": {"timeOrdered": False}})

    async def end(
        self, record: SessionRecord, status: FinalStatus, ended_at: datetime, reason: str | None, **unchanged: object
    ) -> bool:
        """End the session, with the lazy fields of `record`. False when it has ended before: that end stands.

        `unchanged` names stored fields (by their stored names) that must still have these values.
        """
        change = {
            **lazy_fields(record),
            **kept_figures(record),
            "status": status,
            "endedAt": ended_at,
            "endReason": reason,
            "durationMs": (ended_at - record.started_at) // _MILLISECOND,
        }
        return await self._endings.end({"_id": record.session_id, "endedAt": None, **unchanged}, change)

    async def amend(self, record: SessionRecord, metadata: JsonObject, language: str) -> bool:
        """Change metadata and language. False when the session is not as the record has it: amended since, …"""
        known = {"_id": record.session_id, "amended": record.amended or None}
        change = {"metadata": metadata, "language": language, "amended": record.amended + 1}
        return await self._update(known, {"$set": change})

    async def _update(self, condition: Document, change: Document) -> bool:
        try:
            result = await self._sessions.update_one(condition, change)
        except PyMongoError as error:
            raise StorageUnavailable() from error
        return bool(result.matched_count)

    async def save_lazy_fields(self, records: Sequence[SessionRecord]) -> dict[str, SessionRecord]:
        """Write lastSeq, lastEventAt, heartbeat and `active` of these sessions, in few bulks.

        Never takes lastSeq back, and never touches the status of a session that has ended. Where the store knows more
        than the record (a later lastSeq, an end) nothing is written; these are returned by id, as they are stored.
        """
        ahead: dict[str, SessionRecord] = {}
        try:
            for start in range(0, len(records), MAX_UPDATES):
                bulk = {record.session_id: record for record in records[start : start + MAX_UPDATES]}
                done = await self._sessions.bulk_write([_lazy_update(each) for each in bulk.values()], ordered=False)
                if done.matched_count < len(bulk):
                    stored = await self._sessions.find({"_id": {"$in": list(bulk)}}).to_list(length=None)
                    ahead |= {each["_id"]: record_of(each) for each in stored if _is_ahead(each, bulk[each["_id"]])}
        except PyMongoError as error:
            raise StorageUnavailable() from error
        return ahead

    async def page(self, query: SessionQuery) -> list[SessionRecord]:
        """One page. The cost follows the page's size, not the number of sessions."""
        return await self._pages.page(query)

    async def load_all(self, session_ids: Sequence[str]) -> list[SessionRecord]:
        """Those of them that there are, in their order."""
        try:
            documents = await self._sessions.find({"_id": {"$in": list(session_ids)}}).to_list(length=None)
        except PyMongoError as error:
            raise StorageUnavailable() from error
        by_id = {document["_id"]: document for document in documents}
        return [record_of(by_id[session_id]) for session_id in session_ids if session_id in by_id]

    async def unended(self) -> list[str]:
        """The ids of all sessions that have not ended, oldest first. Reads them all: for the start of a gateway."""
        try:
            cursor = self._sessions.find({"status": {"$in": ["initiated", "active"]}}, {"startedAt": 1})
            documents = await cursor.to_list(length=None)
        except PyMongoError as error:
            raise StorageUnavailable() from error
        return [document["_id"] for document in sorted(documents, key=lambda document: document["startedAt"])]

    async def close(self) -> None:
        await self._creations.close()
        await self._endings.close()


def _lazy_update(record: SessionRecord) -> UpdateOne:
    change = lazy_fields(record)
    condition: Document = {"_id": record.session_id, "lastSeq": {"$lte": record.last_seq}}
    if has_ended(record.status):
        change |= kept_figures(record)
    else:
        condition["endedAt"] = None
        change["status"] = record.status
    return UpdateOne(condition, {"$set": change})


def _is_ahead(stored: Document, record: SessionRecord) -> bool:
    return stored["lastSeq"] > record.last_seq or (stored["endedAt"] is not None and record.ended_at is None)
