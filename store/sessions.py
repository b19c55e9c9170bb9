"""Session documents: created once, claimed by publishers, ended once, and otherwise written lazily."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from pymongo import UpdateOne
from pymongo.errors import WriteError
from pymongo.read_concern import ReadConcern

from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import FinalStatus, JsonObject
from turnwire.protocol.rules import has_ended
from turnwire.store.condition import DatabaseCondition
from turnwire.store.session_commands import SessionCommands
from turnwire.store.session_pages import SessionPages, SessionQuery
from turnwire.store.session_record import Document, SessionRecord, document_of, kept_figures, lazy_fields, record_of
from turnwire.store.session_writes import Creations, Endings, refusal, write_bulk

MAX_UPDATES = 100
"""Lazy updates in one bulk."""
_MILLISECOND = timedelta(milliseconds=1)
_READ = "read sessions"
_UPDATE = "update sessions"

__all__ = ["MAX_UPDATES", "SessionQuery", "SessionRecord", "SessionStore", "UnendedSession"]


class UnendedSession(Struct, frozen=True):
    """The signs of life of a session that has not ended."""

    session_id: str
    epoch: int
    heartbeat: int
    last_seq: int
    latest: datetime
    """When it started, or the timestamp of its last event, whichever is later."""

    @property
    def signs(self) -> tuple[int, int, int]:
        """Different whenever a publisher or an event has been there."""
        return self.epoch, self.heartbeat, self.last_seq

    @classmethod
    def of(cls, record: SessionRecord) -> UnendedSession:
        latest = max(record.started_at, record.last_event_at or record.started_at)
        return cls(record.session_id, record.epoch, record.heartbeat, record.last_seq, latest)


class SessionStore:
    """Reads and writes session documents. Every method raises StorageUnavailable when the database does not answer;
    what a write should have done may then have happened or not. Those that write raise RefusedSession when the database
    will never take that change, as when a validator forbids it."""

    def __init__(self, sessions: Any, condition: DatabaseCondition | None = None, *, lanes: int = 1) -> None:
        """`lanes`: creations, and ends, under way at a time."""
        self._sessions = sessions
        self._certain = sessions.with_options(read_concern=ReadConcern("linearizable"))
        self._condition = condition or DatabaseCondition()
        self._pages = SessionPages(sessions, self._condition)
        self._creations = Creations(sessions, self._condition, lanes)
        self._endings = Endings(sessions, self._condition, lanes)
        self.commands = SessionCommands(self._update)

    async def create(self, record: SessionRecord) -> bool:
        """Store a new session. False when there is one of this id already: that one is left as it is."""
        return await self._creations.create(document_of(record))

    async def load(self, session_id: str) -> SessionRecord | None:
        document = await self._condition.ask(_READ, self._sessions.find_one({"_id": session_id}))
        return None if document is None else record_of(document)

    async def load_for_certain(self, session_id: str) -> SessionRecord | None:
        """The same, from a server that a majority has to confirm: what it does not show is not there any more."""
        document = await self._condition.ask(_READ, self._certain.find_one({"_id": session_id}))
        return None if document is None else record_of(document)

    async def claim(self, record: SessionRecord) -> bool:
        """Raise the epoch by one. False when the session is not as the record has it: claimed since, ended, …"""
        known = {"epoch": record.epoch, "endedAt": record.ended_at}
        new = {"epoch": record.epoch + 1, "commands": None}
        return await self._update({"_id": record.session_id, **known}, {"$set": new})

    async def mark_time_disordered(self, session_id: str) -> None:
        """Note, before the first such event is stored, that timestamps do not rise with seq."""
        await self._update({"_id": session_id}, {"$set": {"timeOrdered": False}})

    async def put_back(self, session_id: str, was: int, last_seq: int, last_event_at: datetime | None) -> None:
        """The log turned out to end at `last_seq`, before the stored lastSeq `was`: the one time that it goes back."""
        change = {"lastSeq": last_seq, "lastEventAt": last_event_at}
        await self._update({"_id": session_id, "lastSeq": was}, {"$set": change})

    async def end(
        self, record: SessionRecord, status: FinalStatus, ended_at: datetime, reason: str | None, **unchanged: object
    ) -> bool:
        """End the session, with the lazy fields of `record` where the store has no later ones. False when it has ended
        before: that end stands.

        `unchanged` names stored fields (by their stored names) that must still have these values.
        """
        end = {"status": status, "endedAt": ended_at, "endReason": reason}
        duration = (ended_at - record.started_at) // _MILLISECOND
        change = {**end, "durationMs": duration, **kept_figures(record)}
        condition = {"_id": record.session_id, "endedAt": None, **unchanged}
        return await self._endings.end(condition, change, lazy_fields(record))

    async def amend(self, record: SessionRecord, metadata: JsonObject, language: str) -> bool:
        """Change metadata and language. False when the session is not as the record has it: amended since, …"""
        known = {"_id": record.session_id, "amended": record.amended or None}
        change = {"metadata": metadata, "language": language, "amended": record.amended + 1}
        return await self._update(known, {"$set": change})

    async def _update(self, condition: Document, change: Document) -> bool:
        result = await self._condition.ask(_UPDATE, self._update_one(condition, change))
        return bool(result is not None and result.matched_count)

    async def _update_one(self, condition: Document, change: Document) -> Any:
        try:
            return await self._sessions.update_one(condition, change)
        except WriteError as error:
            details = {**(error.details or {}), "code": error.code}
            raise refusal(self._condition, _UPDATE, condition["_id"], details) from error

    async def save_lazy_fields(self, records: Sequence[SessionRecord]) -> dict[str, SessionRecord]:
        """Write lastSeq, lastEventAt, heartbeat and `active` of these sessions, in few bulks.

        Never takes one of them back, and never touches the status of a session that has ended. Where the store knows
        more than the record (a later lastSeq, an end) nothing is written; these are returned by id, as they are stored.
        Those that the database refuses are logged and left out: they are found again in the log.
        """
        ahead: dict[str, SessionRecord] = {}
        for start in range(0, len(records), MAX_UPDATES):
            bulk = {record.session_id: record for record in records[start : start + MAX_UPDATES]}
            updates = [_lazy_update(each) for each in bulk.values()]
            matched, errors = await write_bulk(
                self._condition, _UPDATE, self._sessions.bulk_write(updates, ordered=False)
            )
            if matched < len(bulk):
                found = self._sessions.find({"_id": {"$in": list(bulk)}}).to_list(length=None)
                stored = await self._condition.ask(_READ, found)
                ahead |= {each["_id"]: record_of(each) for each in stored if _is_ahead(each, bulk[each["_id"]])}
            ids = list(bulk)
            for failure in [refusal(self._condition, _UPDATE, ids[at], error) for at, error in errors.items()]:
                if isinstance(failure, StorageUnavailable):
                    raise failure
        return ahead

    async def page(self, query: SessionQuery) -> list[SessionRecord]:
        """One page. The cost follows the page's size, not the number of sessions."""
        return await self._pages.page(query)

    def between(self, after: datetime, before: datetime) -> AsyncIterator[SessionRecord]:
        """All that started between these two times, both exclusive, in no order."""
        return self._pages.between(after, before)

    async def ended_since(self, moment: datetime) -> list[str]:
        """The ids of those that ended at that moment or later. Raises StorageUnavailable."""
        found = self._sessions.find({"endedAt": {"$gte": moment}}, {"_id": 1}).to_list(length=None)
        return [document["_id"] for document in await self._condition.ask(_READ, found)]

    async def load_all(self, session_ids: Sequence[str]) -> list[SessionRecord]:
        """Those of them that there are, in their order."""
        found = self._sessions.find({"_id": {"$in": list(session_ids)}}).to_list(length=None)
        by_id = {document["_id"]: document for document in await self._condition.ask(_READ, found)}
        return [record_of(by_id[session_id]) for session_id in session_ids if session_id in by_id]

    async def unended(self) -> list[UnendedSession]:
        """All sessions that have not ended, as far as their stored fields tell. Reads them all: not to be called often.
        Raises StorageUnavailable."""
        fields = dict.fromkeys(("epoch", "heartbeat", "lastSeq", "startedAt", "lastEventAt"), 1)
        cursor = self._sessions.find({"status": {"$in": ["initiated", "active"]}}, fields)
        documents = await self._condition.ask(_READ, cursor.to_list(length=None))
        return [
            UnendedSession(
                document["_id"],
                document["epoch"],
                document["heartbeat"],
                document["lastSeq"],
                max(document["startedAt"], document["lastEventAt"] or document["startedAt"]),
            )
            for document in documents
        ]

    async def close(self) -> None:
        await self._creations.close()
        await self._endings.close()


def _lazy_update(record: SessionRecord) -> UpdateOne:
    """Two gateways may know the same lastSeq, and only the heartbeat of one of them beats."""
    change: Document = {"lastSeq": record.last_seq, "lastEventAt": record.last_event_at}
    condition: Document = {"_id": record.session_id, "lastSeq": {"$lte": record.last_seq}}
    if has_ended(record.status):
        change |= kept_figures(record)
    else:
        condition["endedAt"] = None
    if record.status == "active":
        change["status"] = "active"
    return UpdateOne(condition, {"$set": change, "$max": {"heartbeat": record.heartbeat}})


def _is_ahead(stored: Document, record: SessionRecord) -> bool:
    return stored["lastSeq"] > record.last_seq or (stored["endedAt"] is not None and record.ended_at is None)
