"""Session documents: created once, claimed by publishers, ended once, and otherwise written lazily."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct, field
from pymongo import UpdateOne
from pymongo.errors import WriteError

from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import FinalStatus, JsonObject, Session, SessionStatus
from turnwire.protocol.rules import has_ended
from turnwire.protocol.times import format_time
from turnwire.store.condition import DatabaseCondition
from turnwire.store.session_patterns import ids_like
from turnwire.store.session_writes import Creations, Endings, refusal, write_bulk

MAX_UPDATES = 100
"""Lazy updates in one bulk."""
_FIRST_SPAN = timedelta(seconds=2)
_SPAN_GROWTH = 8
_LONGEST_SPAN = timedelta(days=365 * 100)
_READ = "read sessions"
_UPDATE = "update sessions"

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
        )


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
    patterns: Sequence[str] | None = None
    """Only sessions of these ids, or of an id that begins with one that ends in `*`; None for all."""

    def matches(self, record: SessionRecord) -> bool:
        """Whether the filters of status and language let this session through."""
        return (not self.status or record.status in self.status) and self.language in (None, record.language)

    def spans(self, moment: datetime) -> bool:
        """Whether sessions that started at this moment are within the bounds of time."""
        after, before = self.started_after, self.started_before
        return (after is None or moment > after) and (before is None or moment < before)


class SessionStore:
    """Reads and writes session documents. Every method raises StorageUnavailable when the database does not answer;
    what a write should have done may then have happened or not. Those that write raise RefusedSession when the database
    will never take that change, as when a validator forbids it."""

    def __init__(self, sessions: Any, condition: DatabaseCondition | None = None) -> None:
        self._sessions = sessions
        self._condition = condition or DatabaseCondition()
        self._creations = Creations(sessions, self._condition)
        self._endings = Endings(sessions, self._condition)

    async def create(self, record: SessionRecord) -> bool:
        """Store a new session. False when there is one of this id already: that one is left as it is."""
        return await self._creations.create(_document(record))

    async def load(self, session_id: str) -> SessionRecord | None:
        document = await self._condition.ask(_READ, self._sessions.find_one({"_id": session_id}))
        return None if document is None else _record(document)

    async def claim(self, record: SessionRecord) -> bool:
        """Raise the epoch by one. False when the session is not as the record has it: claimed since, ended, …"""
        known = {"epoch": record.epoch, "endedAt": record.ended_at}
        return await self._update({"_id": record.session_id, **known}, {"$set": {"epoch": record.epoch + 1}})

    async def mark_time_disordered(self, session_id: str) -> None:
        """Note, before the first such event is stored, that timestamps do not rise with seq."""
        await self._update({"_id": session_id}, {"$set": {"timeOrdered": False}})

    async def end(
        self, record: SessionRecord, status: FinalStatus, ended_at: datetime, reason: str | None, **unchanged: object
    ) -> bool:
        """End the session, with the lazy fields of `record` where the store has no later ones. False when it has ended
        before: that end stands.

        `unchanged` names stored fields (by their stored names) that must still have these values.
        """
        change = {"status": status, "endedAt": ended_at, "endReason": reason}
        condition = {"_id": record.session_id, "endedAt": None, **unchanged}
        return await self._endings.end(condition, change, _lazy_fields(record))

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
                ahead |= {each["_id"]: _record(each) for each in stored if _is_ahead(each, bulk[each["_id"]])}
            ids = list(bulk)
            for failure in [refusal(self._condition, _UPDATE, ids[at], error) for at, error in errors.items()]:
                if isinstance(failure, StorageUnavailable):
                    raise failure
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
        if query.patterns is not None:
            condition |= ids_like(query.patterns)
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
        cursor = self._sessions.find(condition).sort([("startedAt", -1), ("_id", -1)]).limit(limit)
        return [_record(each) for each in await self._condition.ask(_READ, cursor.to_list(length=None))]

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


def _before(edge: datetime, span: timedelta) -> datetime | None:
    """The start of a window; None for one that has none."""
    try:
        return None if span >= _LONGEST_SPAN else edge - span
    except OverflowError:
        return None


def _lazy_fields(record: SessionRecord) -> Document:
    return {"lastSeq": record.last_seq, "lastEventAt": record.last_event_at, "heartbeat": record.heartbeat}


def _lazy_update(record: SessionRecord) -> UpdateOne:
    """Two gateways may know the same lastSeq, and only the heartbeat of one of them beats."""
    change: Document = {"lastSeq": record.last_seq, "lastEventAt": record.last_event_at}
    condition: Document = {"_id": record.session_id, "lastSeq": {"$lte": record.last_seq}}
    if not has_ended(record.status):
        condition["endedAt"] = None
    if record.status == "active":
        change["status"] = "active"
    return UpdateOne(condition, {"$set": change, "$max": {"heartbeat": record.heartbeat}})


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
    )
