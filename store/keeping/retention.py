"""What retention stores: how far it has looked, and which sessions to examine whatever their start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from pymongo.errors import WriteError

from turnwire.store.condition import DatabaseCondition
from turnwire.store.session_record import Document, SessionRecord

_DUPLICATE_KEY: Final = 11000
_MARK: Final = "retention"
_KEEP: Final = "keep how far retention has looked"


class RetentionMark(Struct, frozen=True):
    """How far retention has looked."""

    rules: str
    """The digest of the rules that were used."""
    settled: datetime
    """Every session that was due at this time has been removed, or is noted."""
    walked_at: datetime
    """When retention last walked through all ended sessions."""


class Note(Struct, frozen=True):
    session_id: str
    at: datetime


class RetentionStore:
    """A mark, and a note for each session that the next look would otherwise miss. Methods raise StorageUnavailable."""

    def __init__(self, database: Any, condition: DatabaseCondition) -> None:
        self._marks = database["turnwire"]
        self._notes = database["retention"]
        self._condition = condition
        self._after: timedelta | None = None
        self._now: Callable[[], datetime] = _utc_now

    def watch(self, after: timedelta, now: Callable[[], datetime]) -> None:
        """From now on, note sessions that change more than `after` their start, because looks may have passed that
        start."""
        self._after, self._now = after, now

    async def changing(self, record: SessionRecord) -> None:
        """Note a session that is about to end or to be amended, if looks may have passed its start already."""
        if self._after is not None and self._now() - record.started_at >= self._after:
            await self.note(record.session_id, self._now())

    async def mark(self) -> RetentionMark | None:
        """Return how far retention has looked; None if it never has, or was switched off since."""
        found = await self._condition.ask(_KEEP, self._marks.find_one({"_id": _MARK}))
        return None if found is None else RetentionMark(found["rules"], found["settled"], found["walkedAt"])

    async def keep(self, mark: RetentionMark) -> None:
        fields = {"rules": mark.rules, "settled": mark.settled, "walkedAt": mark.walked_at}
        await self._condition.ask(_KEEP, _put(self._marks, _MARK, fields))

    async def forget_mark(self) -> None:
        """Make the next look walk through all sessions, because from now on changes are not noted."""
        await self._condition.ask(_KEEP, self._marks.delete_many({"_id": _MARK}))

    async def note(self, session_id: str, now: datetime) -> None:
        """Make the next look examine this session."""
        await self._condition.ask(_KEEP, _put(self._notes, session_id, {"at": now}))

    async def notes(self) -> list[Note]:
        """Return all notes, of which there are few."""
        found = await self._condition.ask(_KEEP, self._notes.find({}).to_list(length=None))
        return [Note(each["_id"], each["at"]) for each in found]

    async def drop(self, session_ids: Sequence[str], before: datetime) -> None:
        """Drop the notes of these sessions that were made before this time."""
        condition: Document = {"_id": {"$in": list(session_ids)}, "at": {"$lt": before}}
        await self._condition.ask(_KEEP, self._notes.delete_many(condition))


async def _put(collection: Any, key: str, fields: Document) -> None:
    """Store these fields, whether the document exists or not. Tries an insert first, because most documents are new."""
    try:
        await collection.insert_one({"_id": key, **fields})
    except WriteError as error:
        if error.code != _DUPLICATE_KEY:
            raise
        await collection.update_one({"_id": key}, {"$set": fields})


def _utc_now() -> datetime:
    return datetime.now(UTC)
