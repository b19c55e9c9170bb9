"""Session documents: created once, claimed by publishers, ended once, and otherwise written lazily."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from pymongo import UpdateOne
from pymongo.errors import WriteError
from pymongo.read_concern import ReadConcern

from turnwire.protocol.errors import SessionErased, StorageUnavailable
from turnwire.protocol.messages import FinalStatus, JsonObject
from turnwire.protocol.rules import has_ended
from turnwire.store.condition import DatabaseCondition
from turnwire.store.listing.indexes import CHANGES, SessionIndexes
from turnwire.store.listing.pages import SessionPages
from turnwire.store.listing.query import SessionQuery
from turnwire.store.session_commands import SessionCommands
from turnwire.store.session_metadata import stored_metadata
from turnwire.store.session_record import (
    Document,
    SessionRecord,
    StoredSession,
    document_of,
    is_erased,
    kept_figures,
    lazy_fields,
    record_of,
    this_life,
    traced,
)
from turnwire.store.session_writes import Endings, SessionInserts, refusal, write_bulk
from turnwire.store.unended import UnendedSession

MAX_UPDATES = 100
"""Maximum number of lazy updates in one bulk."""
_AT_ONCE = 500
"""Documents that are handled in one turn, which takes a millisecond."""
_MILLISECOND = timedelta(milliseconds=1)
_READ = "read sessions"
_UPDATE = "update sessions"
_Changing = Callable[[SessionRecord], Awaitable[None]]

__all__ = ["MAX_UPDATES", "SessionQuery", "SessionRecord", "SessionStore"]


class SessionStore:
    """Reads and writes of session documents.

    Every method raises StorageUnavailable if the database does not answer. A write may then have happened or not.
    Writes raise RefusedSession if the database will never accept the change, as when a validator forbids it.
    """

    def __init__(self, sessions: Any, condition: DatabaseCondition, *, lanes: int, changing: _Changing) -> None:
        """`lanes` is the number of concurrent inserts, and of concurrent ends. `changing` is awaited before a session
        ends, or is amended after its end."""
        self.around: Callable[[SessionRecord], AbstractAsyncContextManager[None]] = _nothing_around
        """Entered around the creation of a session, and around a change of one that has ended."""
        self.packs = False
        """Whether to store large metadata as JSON, for a database that decodes what it reads."""
        self._sessions = sessions
        self._certain = sessions.with_options(read_concern=ReadConcern("linearizable"))
        self._condition = condition
        self._changing = changing
        self.indexes = SessionIndexes()
        self._pages = SessionPages(sessions, self._condition, self.indexes)
        self._inserts = SessionInserts(sessions, self._condition, lanes)
        self._endings = Endings(sessions, self._condition, lanes)
        self.commands = SessionCommands(self._update)

    async def create(self, record: SessionRecord) -> bool:
        """Store a new session. Return False, and change nothing, if the id exists already or is being erased."""
        async with self.around(record):
            return await self._inserts.create(document_of(record, packs=self.packs))

    async def load(self, session_id: str) -> SessionRecord | None:
        document = await self._condition.ask(_READ, self._sessions.find_one({"_id": session_id}))
        return None if document is None or is_erased(document) else record_of(document)

    async def load_for_certain(self, session_id: str) -> SessionRecord | None:
        """Return the session, confirmed by a majority: if it is missing here, it no longer exists."""
        document = await self._condition.ask(_READ, self._certain.find_one({"_id": session_id}))
        return None if document is None else record_of(document)

    async def reload(self, record: SessionRecord) -> SessionRecord:
        """Return the same session in its stored state. Raises SessionErased if it no longer exists.

        A lagging server cannot tell that a session is gone, so a majority has to confirm it.
        """
        for collection in (self._sessions, self._certain):
            document = await self._condition.ask(_READ, collection.find_one({"_id": record.session_id}))
            if document is not None and document.get("life") == record.life:
                return record_of(document)
        raise SessionErased(record.session_id)

    async def claim(self, record: SessionRecord, holder: str | None = None, traceparent: str | None = None) -> bool:
        """Raise the epoch by one for a publisher of `holder`, and store the trace that it names, if any. Return False
        if the session has been claimed or erased, or has ended, since the record was read."""
        known = {"epoch": record.epoch, "endedAt": record.ended_at}
        new = {"epoch": record.epoch + 1, "commands": None, "holder": holder} | traced(traceparent)
        return await self._update({**this_life(record), **known}, {"$set": new})

    async def finish_creation(self, session_id: str, creation: str) -> None:
        """Record that everything in the session's creation by this request is stored."""
        await self._update({"_id": session_id, "creation": creation}, {"$set": {"creation": None}})

    async def mark_time_disordered(self, record: SessionRecord) -> None:
        """Record that timestamps do not rise with seq, before the first event for which they do not."""
        await self._update(this_life(record), {"$set": {"timeOrdered": False}})

    async def contest(self, record: SessionRecord) -> None:
        """Record that this gateway loses the races for the log's next position, so that the others give way."""
        await self._update(this_life(record), {"$max": {"contested": record.contested + 1}})

    async def put_back(self, session_id: str, was: int, last_seq: int, last_event_at: datetime | None) -> None:
        """Set the stored lastSeq back from `was` to `last_seq`, where the log turned out to end. It never goes back
        otherwise."""
        change = {"lastSeq": last_seq, "lastEventAt": last_event_at}
        await self._update({"_id": session_id, "lastSeq": was}, {"$set": change})

    async def end(
        self,
        record: SessionRecord,
        status: FinalStatus,
        ended_at: datetime,
        reason: str | None,
        by: str | None = None,
        *,
        imported_at: datetime | None = None,
        **unchanged: object,
    ) -> bool:
        """End the session. Return False if it has already ended: the first end stands.

        `by` is unique to this end and the same in every attempt at it, because two gateways may end a session in the
        same way in the same millisecond. None makes a new one.

        `imported_at`: when the session was imported, if its end lies in the past.

        Writes the lazy fields of `record` too, unless the store has later ones. `unchanged` holds values that stored
        fields must still have, by their stored names.
        """
        end = {"status": status, "endedAt": ended_at, "endReason": reason, "endedBy": by or uuid4().hex}
        duration = (ended_at - record.started_at) // _MILLISECOND
        imported = {} if imported_at is None else {"importing": False, "importedAt": imported_at}
        change = {**end, "durationMs": duration, **kept_figures(record), **imported}
        condition = {**this_life(record), "endedAt": None, **unchanged}
        await self._changing(record)
        return await self._endings.end(condition, change, lazy_fields(record))

    async def note_imported(self, record: SessionRecord, now: datetime, *, whole: bool, deserted: bool = False) -> None:
        """Record when everything that is known of an imported session was stored. The session stays open.

        A `whole` session is an open session like others from now on: its age ends it. A `deserted` session has had a
        publisher, whose absence ends it.
        """
        change: Document = {"$set": {"importedAt": now} | ({"importing": False} if whole else {})}
        if deserted:
            change["$max"] = {"epoch": 1}
        await self._update(this_life(record), change)

    async def amend(self, record: SessionRecord, metadata: JsonObject, language: str, now: datetime) -> bool:
        """Change metadata and language. Return False if the session was amended since the record was read."""
        if record.ended_at is not None:
            await self._changing(record)
        known = {**this_life(record), "amended": record.amended or None}
        stored = stored_metadata(metadata, packs=self.packs)
        change = {"metadata": stored, "language": language, "amended": record.amended + 1, "amendedAt": now}
        async with nullcontext() if record.ended_at is None else self.around(record):
            return await self._update(known, {"$set": change})

    async def pack(self, record: SessionRecord) -> bool:
        """Store the metadata as JSON if it is large. Return False if it is not, or if it was changed since the record
        was read."""
        stored = stored_metadata(record.metadata, packs=True)
        known = {**this_life(record), "amended": record.amended or None}
        return type(stored) is bytes and await self._update(known, {"$set": {"metadata": stored}})

    async def _update(self, condition: Document, change: Document) -> bool:
        result = await self._condition.ask(_UPDATE, self._update_one(condition, change))
        return bool(result is not None and result.matched_count)

    async def _update_one(self, condition: Document, change: Document) -> Any:
        try:
            return await self._sessions.update_one(condition, change)
        except WriteError as error:
            details = {**(error.details or {}), "code": error.code}
            raise refusal(self._condition, _UPDATE, condition["_id"], details) from error

    async def save_lazy_fields(self, records: Sequence[SessionRecord]) -> dict[str, SessionRecord | None]:
        """Write lastSeq, lastEventAt, heartbeat and the status `active` of these sessions, in few bulks.

        Never moves a value back, and never changes the status of an ended session. A session that is ahead in the store
        (by a later lastSeq or an end) is not written. Return those sessions as stored, by id, and None for a session
        that seems to be gone. A session that the database refuses is logged and left out; its values can be found again
        in the log.
        """
        ahead: dict[str, SessionRecord | None] = {}
        for start in range(0, len(records), MAX_UPDATES):
            bulk = {record.session_id: record for record in records[start : start + MAX_UPDATES]}
            updates = [_lazy_update(each) for each in bulk.values()]
            matched, errors = await write_bulk(
                self._condition, _UPDATE, self._sessions.bulk_write(updates, ordered=False)
            )
            if matched < len(bulk):
                found = self._sessions.find({"_id": {"$in": list(bulk)}}).to_list(length=None)
                ahead |= _ahead(await self._condition.ask(_READ, found), bulk)
            ids = list(bulk)
            for failure in [refusal(self._condition, _UPDATE, ids[at], error) for at, error in errors.items()]:
                if isinstance(failure, StorageUnavailable):
                    raise failure
        return ahead

    async def page(self, query: SessionQuery) -> list[SessionRecord]:
        """Return one page of the sessions that meet the conditions that an index serves, as `indexes` says. The cost
        depends on the page's size, not on the number of sessions."""
        return [each.record() for each in await self._pages.page(query)]

    async def stored_page(self, query: SessionQuery) -> list[StoredSession]:
        """Return the same page, with the metadata not decoded yet."""
        return await self._pages.page(query)

    def between(self, after: datetime, before: datetime) -> AsyncIterator[SessionRecord]:
        """Iterate over the sessions that started between these two times, both exclusive, in any order."""
        return self._pages.between(after, before)

    async def changed_since(self, moment: datetime, kinds: Sequence[str] = CHANGES) -> list[str]:
        """Return the ids of the sessions with a change of one of these kinds at `moment` or later.

        Needs the indexes of `indexes.changes`: without them, the database reads every session.
        """
        ids: list[str] = []
        for name in kinds:
            found = self._sessions.find({name: {"$gte": moment}}, {"_id": 1}).to_list(length=None)
            ids += [document["_id"] for document in await self._condition.ask(_READ, found)]
        return list(dict.fromkeys(ids))

    async def load_all(self, session_ids: Sequence[str]) -> list[SessionRecord]:
        """Return the sessions of these ids, in this order, skipping unknown ids."""
        return [each.record() for each in await self._pages.load(session_ids)]

    async def load_stored(self, session_ids: Sequence[str]) -> list[StoredSession]:
        """Return the same sessions, with the metadata not decoded yet."""
        return await self._pages.load(session_ids)

    async def which_exist(self, session_ids: Sequence[str]) -> set[str]:
        """Return the ids of those sessions that exist. Raises StorageUnavailable."""
        found = self._sessions.find({"_id": {"$in": list(session_ids)}}, {"status": 1}).to_list(length=None)
        return {each["_id"] for each in await self._condition.ask(_READ, found) if not is_erased(each)}

    async def unended(self) -> list[UnendedSession]:
        """Return the sessions that have not ended by their stored fields. Expensive: reads all of them."""
        names = ("epoch", "heartbeat", "lastSeq", "startedAt", "lastEventAt", "importing", "commands")
        fields = dict.fromkeys(names, 1)
        cursor = self._sessions.find({"status": {"$in": ["initiated", "active"]}}, fields)
        found: list[UnendedSession] = []
        documents = await self._condition.ask(_READ, cursor.to_list(length=None))
        while documents:  # frees each at once, because freeing thousands together takes milliseconds
            found.append(UnendedSession.in_document(documents.pop()))
            if len(found) % _AT_ONCE == 0:
                await asyncio.sleep(0)  # others get a turn
        return found

    async def close(self) -> None:
        await self._inserts.close()
        await self._endings.close()


def _nothing_around(_record: SessionRecord) -> AbstractAsyncContextManager[None]:
    return nullcontext()


def _lazy_update(record: SessionRecord) -> UpdateOne:
    """Return the update. The heartbeat never falls: if two gateways have the same lastSeq, only one of them
    raises it."""
    change: Document = {"lastSeq": record.last_seq, "lastEventAt": record.last_event_at}
    condition: Document = {**this_life(record), "lastSeq": {"$lte": record.last_seq}}
    if has_ended(record.status):
        change |= kept_figures(record)
    else:
        condition["endedAt"] = None
    if record.status == "active":
        change["status"] = "active"
    return UpdateOne(condition, {"$set": change, "$max": {"heartbeat": record.heartbeat}})


def _ahead(stored: Sequence[Document], records: dict[str, SessionRecord]) -> dict[str, SessionRecord | None]:
    """Return the stored sessions that are ahead of their record, by id, and None for each session that is not
    stored."""
    same = {each["_id"]: each for each in stored if each.get("life") == records[each["_id"]].life}
    ahead: dict[str, SessionRecord | None] = {key: None for key in records if key not in same}
    return ahead | {key: record_of(each) for key, each in same.items() if _is_ahead(each, records[key])}


def _is_ahead(stored: Document, record: SessionRecord) -> bool:
    return stored["lastSeq"] > record.last_seq or (stored["endedAt"] is not None and record.ended_at is None)
