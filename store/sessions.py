"""Session documents: created once, claimed by publishers, ended once, and otherwise written lazily."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct, field
from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import FinalStatus, JsonObject, Session, SessionFigures, SessionStatus
from turnwire.protocol.rules import has_ended
from turnwire.protocol.times import format_time
from turnwire.store.session_writes import Creations, Endings

MAX_UPDATES = 100
"""Lazy updates in one bulk."""
_MILLISECOND = timedelta(milliseconds=1)
_FIRST_SPAN = timedelta(seconds=2)
_SPAN_GROWTH = 8
_LONGEST_SPAN = timedelta(days=365 * 100)

Document = dict[str, Any]


class SessionRecord(Struct):
    """A session as the store keeps it. Times are aware UTC datetimes with milliseconds."""

    session_id: str
    language: str
    started_at: datetime
    status: SessionStatus = "initiated"
    ended_at: datetime | None = None
    metadata: JsonObject = field(default_factory=dict)
    last_seq: int = 0
    last_event_at: datetime | None = None
    end_reason: str | None = None
    epoch: int = 0
    """How many times a publisher has claimed the session."""
    time_ordered: bool = True
    """Whether no event's timestamp is before that of the event before it."""
    heartbeat: int = 0
    """Raised now and then by the gateway that holds the publisher; if it stands still, nobody does."""

    figures: SessionFigures | None = None
    """Kept with the end."""
    amended: int = 0
    """How many times metadata and language have been changed."""

    def session(self) -> Session:
        """The wire shape."""
        return Session(
            session_id=self.session_id,
            status=self.status,
            language=self.language,
            started_at=format_time(self.started_at),
            ended_at=None if self.ended_at is None else format_time(self.ended_at),
            metadata=self.metadata,
            last_seq=self.last_seq,
            last_event_at=None if self.last_event_at is None else format_time(self.last_event_at),
            end_reason=self.end_reason,
            figures=self.figures,
        )


class SessionQuery(Struct, frozen=True, kw_only=True):
    """A page of sessions, newest first by (startedAt, sessionId). Bounds of time are exclusive."""

    limit: int
    status: Sequence[SessionStatus] = ()
    """Any of these; empty for all."""
    language: str | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None
    before: tuple[datetime, str] | None = None
    """The (startedAt, sessionId) of the last session of the page before."""

    def matches(self, record: SessionRecord) -> bool:
        """Whether the filters of status and language let this session through."""
        return (not self.status or record.status in self.status) and self.language in (None, record.language)

    def spans(self, moment: datetime) -> bool:
        """Whether sessions that started at this moment are within the bounds of time."""
        after, before = self.started_after, self.started_before
        return (after is None or moment > after) and (before is None or moment < before)


class SessionStore:
    """Reads and writes session documents. Every method raises StorageUnavailable when the database does not answer;
    what a write should have done may then have happened or not."""

    def __init__(self, sessions: Any) -> None:
        self._sessions = sessions
        self._creations = Creations(sessions)
        self._endings = Endings(sessions)

    async def create(self, record: SessionRecord) -> bool:
        """Store a new session. False when there is one of this id already: that one is left as it is."""
        return await self._creations.create(_document(record))

    async def load(self, session_id: str) -> SessionRecord | None:
        try:
            document = await self._sessions.find_one({"_id": session_id})
        except PyMongoError as error:
            raise StorageUnavailable() from error
        return None if document is None else _record(document)

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
            **_lazy_fields(record),
            **_kept_figures(record),
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
                    ahead |= {each["_id"]: _record(each) for each in stored if _is_ahead(each, bulk[each["_id"]])}
        except PyMongoError as error:
            raise StorageUnavailable() from error
        return ahead

    async def page(self, query: SessionQuery) -> list[SessionRecord]:
        """One page. The cost follows the page's size, not the number of sessions.

        Reads windows of startedAt, backwards, that widen until the page is full: the embedded database reads every
        match of a query before it applies a limit.
        """
        condition: Document = {}
        if query.status:
            condition["status"] = query.status[0] if len(query.status) == 1 else {"$in": list(query.status)}
        if query.language is not None:
            condition["language"] = query.language
        found: list[SessionRecord] = []
        upper = query.started_before
        if query.before is not None:
            same_moment, before_id = query.before
            if query.spans(same_moment):
                ties = await self._window({**condition, "startedAt": same_moment}, limit=0)
                found = [record for record in ties if record.session_id < before_id]
            upper = same_moment if upper is None else min(upper, same_moment)
        return await self._fill(found, condition, query, upper)

    async def _fill(
        self, found: list[SessionRecord], condition: Document, query: SessionQuery, upper: datetime | None
    ) -> list[SessionRecord]:
        span = _FIRST_SPAN
        edge = upper or datetime.now(UTC)
        while len(found) < query.limit:
            lower = _before(edge, span)
            last_window = lower is None
            if query.started_after is not None and (lower is None or lower <= query.started_after):
                lower, last_window = query.started_after, True
            bounds: Document = {} if upper is None else {"$lt": upper}
            if lower is not None:
                bounds["$gt" if lower == query.started_after else "$gte"] = lower
            window = {**condition, "startedAt": bounds} if bounds else condition
            found += await self._window(window, query.limit - len(found))
            if last_window:
                break
            edge = upper = lower or edge
            span *= _SPAN_GROWTH
        return found[: query.limit]

    async def _window(self, condition: Document, limit: int) -> list[SessionRecord]:
        """Newest first. A limit of 0 is none."""
        try:
            cursor = self._sessions.find(condition).sort([("startedAt", -1), ("_id", -1)]).limit(limit)
            return [_record(document) for document in await cursor.to_list(length=None)]
        except PyMongoError as error:
            raise StorageUnavailable() from error

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


def _before(edge: datetime, span: timedelta) -> datetime | None:
    """The start of a window; None for one that has none."""
    try:
        return None if span >= _LONGEST_SPAN else edge - span
    except OverflowError:
        return None


def _lazy_fields(record: SessionRecord) -> Document:
    return {"lastSeq": record.last_seq, "lastEventAt": record.last_event_at, "heartbeat": record.heartbeat}


def _kept_figures(record: SessionRecord) -> Document:
    """None are written where none are known: they may be known to another gateway."""
    return {} if record.figures is None else {"figures": msgspec.to_builtins(record.figures)}


def _figures(stored: Document | None) -> SessionFigures | None:
    try:
        return None if stored is None else msgspec.convert(stored, SessionFigures)
    except msgspec.ValidationError:  # of another version
        return None


def _lazy_update(record: SessionRecord) -> UpdateOne:
    change = _lazy_fields(record)
    condition: Document = {"_id": record.session_id, "lastSeq": {"$lte": record.last_seq}}
    if has_ended(record.status):
        change |= _kept_figures(record)
    else:
        condition["endedAt"] = None
        change["status"] = record.status
    return UpdateOne(condition, {"$set": change})


def _is_ahead(stored: Document, record: SessionRecord) -> bool:
    return stored["lastSeq"] > record.last_seq or (stored["endedAt"] is not None and record.ended_at is None)


def _document(record: SessionRecord) -> Document:
    return {
        "_id": record.session_id,
        "status": record.status,
        "language": record.language,
        "startedAt": record.started_at,
        "endedAt": record.ended_at,
        "metadata": record.metadata,
        **_lazy_fields(record),
        "endReason": record.end_reason,
        "epoch": record.epoch,
        "timeOrdered": record.time_ordered,
    }


def _record(document: Document) -> SessionRecord:
    return SessionRecord(
        session_id=document["_id"],
        language=document["language"],
        started_at=document["startedAt"],
        status=document["status"],
        ended_at=document["endedAt"],
        metadata=document["metadata"],
        last_seq=document["lastSeq"],
        last_event_at=document["lastEventAt"],
        end_reason=document["endReason"],
        epoch=document["epoch"],
        time_ordered=document["timeOrdered"],
        heartbeat=document["heartbeat"],
        figures=_figures(document.get("figures")),
        amended=document.get("amended", 0),
    )
