"""The database of a NestJS conversation service, read as lines of past calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from turnwire.commands.console import fail, times
from turnwire.commands.moving.old_values import plain
from turnwire.errors import Unreachable

if TYPE_CHECKING:
    from pymongo import AsyncMongoClient
    from pymongo.asynchronous.database import AsyncDatabase

SESSIONS = "conversationsessions"
EVENTS = "conversationevents"
_IDS = 500
_FIELDS = ("sessionId", "status", "language", "startedAt", "endedAt", "metadata")

Document = Mapping[str, Any]


def _encode(document: Document) -> bytes:
    return msgspec.json.encode(plain(document))


class OldDatabase:
    """The sessions of the database, in the order of their `_id`, with their events by timestamp, then `_id`.

    All methods raise Unreachable if the database does not answer.
    """

    def __init__(self, uri: str) -> None:
        """`uri`: names the database. Exits if it names none, or if the driver is not installed."""
        try:
            from pymongo import AsyncMongoClient  # noqa: PLC0415 -- comes with the extra `server`
            from pymongo.errors import PyMongoError  # noqa: PLC0415
        except ImportError:
            raise fail('a mongodb:// source needs the driver: pip install "turnwire[server]"') from None
        self._away = PyMongoError
        try:
            self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
                uri,
                tz_aware=True,
                datetime_conversion="DATETIME_AUTO",  # one time beyond the year 9999 must not stop the import
                unicode_decode_error_handler="replace",
                serverSelectionTimeoutMS=5000,
            )
            self._database: AsyncDatabase[dict[str, Any]] = self._client.get_default_database()
        except (PyMongoError, ValueError) as error:
            raise fail(f"name the database, as in mongodb://host/conversation-service: {error}") from None
        except OSError as error:  # a file that the URI names
            raise fail(f"the database's URI cannot be used: {error.strerror}") from None
        self.name = f"the database {self._database.name}"
        self.identity = uri

    async def check(self) -> None:
        """Read one session, so that a wrong address or password is reported at once."""
        try:
            await self._database[SESSIONS].find_one({}, {"_id": 1})
        except self._away as error:
            raise self._unreachable(error) from None

    async def chunks(self, after: int) -> AsyncIterator[bytes]:
        """Read the sessions as lines, in pieces, skipping the first `after` of them."""
        try:
            async for session in self._database[SESSIONS].find({}).sort("_id", 1).skip(after):
                yield _head(session)
                begun = False
                async for event in self._events(session.get("sessionId")):
                    yield (b"," if begun else b"") + _encode(_event(event))
                    begun = True
                yield b"]}\n"
        except self._away as error:
            raise self._unreachable(error) from None

    async def _events(self, session_id: Any) -> AsyncIterator[Document]:
        """Read the events of a session by timestamp, which has an index. Order those with equal timestamps by `_id`."""
        equal: list[Document] = []
        async for event in self._database[EVENTS].find({"sessionId": session_id}).sort("timestamp", 1):
            if equal and equal[0].get("timestamp") != event.get("timestamp"):
                for each in _by_id(equal):
                    yield each
                equal = []
            equal.append(event)
        for each in _by_id(equal):
            yield each

    async def left_out(self) -> list[str]:
        """Return a text for each sessionId that has events but no session."""
        try:
            counts: dict[Any, int] = {}
            lost: list[str] = []
            group = {"$group": {"_id": "$sessionId", "events": {"$sum": 1}}}
            async for each in await self._database[EVENTS].aggregate([group]):
                counts[each["_id"]] = each["events"]
                if len(counts) == _IDS:
                    lost += await self._without_session(counts)
                    counts = {}
            return lost + await self._without_session(counts)
        except self._away as error:
            raise self._unreachable(error) from None

    async def _without_session(self, counts: Mapping[Any, int]) -> list[str]:
        found = self._database[SESSIONS].find({"sessionId": {"$in": list(counts)}}, {"sessionId": 1})
        known = {each.get("sessionId") async for each in found}
        return [f"{times(events, 'event')} of {plain(key)!r}" for key, events in counts.items() if key not in known]

    def _unreachable(self, error: Exception) -> Unreachable:
        text = str(error).partition(" (configured timeouts")[0].partition(", full error:")[0]
        return Unreachable(f"cannot read {self.name}: {text}")

    async def close(self) -> None:
        await self._client.close()


def _head(session: Document) -> bytes:
    """Return the beginning of a line, up to its first event."""
    fields = {name: session[name] for name in _FIELDS if session.get(name) is not None}
    return _encode(fields).removesuffix(b"}") + (b"," if fields else b"") + b'"events":['


def _event(event: Document) -> Document:
    fields = {name: event.get(name) for name in ("eventId", "type", "timestamp")}
    return {**fields, "payload": event.get("payload") or {}}


def _by_id(events: list[Document]) -> Iterator[Document]:
    return iter(sorted(events, key=_place) if len(events) > 1 else events)


def _place(event: Document) -> tuple[str, Any]:
    """Return what orders events: ids of one type by their value, as those of different types cannot be compared."""
    return type(event["_id"]).__name__, event["_id"]
