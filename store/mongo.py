"""The MongoDB client: concerns, timeouts, indexes. The only module that imports Motor."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from datetime import UTC
from typing import Any

from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from bson.int64 import Int64
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ASCENDING, ReadPreference, WriteConcern
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.event_log import EventLog
from turnwire.store.revocations import RevocationLog
from turnwire.store.sessions import SessionStore

PING_SECONDS = 2.0
CLOSE_SECONDS = 1.0
"""How long closing may take; a database that hangs is left to notice by itself."""
_POLL_SECONDS = 0.005
_OPTIONS: dict[str, Any] = {
    "heartbeatFrequencyMS": 2000,
    "connectTimeoutMS": 5000,  # also of heartbeats: the default lets connections that died silently hang for 20 s more
    "serverSelectionTimeoutMS": 5000,
    "timeoutMS": 10_000,
    "maxIdleTimeMS": 240_000,
}


class _PlainInt(TypeDecoder):
    """A BSON int64 comes back as a plain int, which every encoder knows."""

    bson_type = Int64

    def transform_bson(self, value: Any) -> int:
        return int(value)


_TYPES = TypeRegistry([_PlainInt()])
_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC, type_registry=_TYPES)


def options_beside(uri: str) -> dict[str, Any]:
    """Our options for the driver but those that the URI sets."""
    given = {part.partition("=")[0].lower() for part in re.split("[&;]", uri.partition("?")[2])}
    return {name: value for name, value in _OPTIONS.items() if name.lower() not in given}


class Store:
    """All that is durable, on one database. Belongs to the event loop it was made in."""

    def __init__(self, client: Any, database: str) -> None:
        self._client = client
        # Whatever the URI says: an acknowledged write is durable on a majority, and nothing weaker is read.
        self._db = client.get_database(
            database,
            codec_options=_CODEC,
            write_concern=WriteConcern(w="majority", j=True),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self.events = EventLog(self._db)
        self.sessions = SessionStore(self._db["sessions"])
        self.revocations = RevocationLog(self._db["revocations"])

    @classmethod
    def connect(cls, uri: str, database: str, *, app_name: str = "turnwire") -> Store:
        """A store on `uri`; connects in the background. Raises ValueError for a URI that cannot be read.

        Options in the URI win over the defaults here, except for the write and read concerns.
        """
        options = {"appname": app_name, "io_loop": asyncio.get_running_loop(), **options_beside(uri)}
        try:
            client = AsyncIOMotorClient(uri, **options)
        except (PyMongoError, ValueError) as error:
            raise ValueError(f"MONGODB_URI cannot be used: {error}") from None
        return cls(client, database)

    async def ping(self) -> bool:
        """Whether the database answers within PING_SECONDS."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._client.admin.command("ping")
        except (PyMongoError, TimeoutError):
            return False
        return True

    async def prepare(self) -> None:
        """Make the indexes that listing sessions needs. Repeatable. Raises StorageUnavailable."""
        sessions = self._db["sessions"]
        try:
            await sessions.create_index([("startedAt", ASCENDING), ("_id", ASCENDING)])
            await sessions.create_index([("status", ASCENDING), ("startedAt", ASCENDING), ("_id", ASCENDING)])
        except PyMongoError as error:
            raise StorageUnavailable(f"the indexes cannot be made: {error}") from error

    async def close(self) -> None:
        await self.events.close()
        await self.sessions.close()
        # Closing says goodbye to the database, which may hang; a thread of its own keeps that from holding us up.
        closing = threading.Thread(target=self._client.close, name="close-mongo", daemon=True)
        closing.start()
        deadline = time.monotonic() + CLOSE_SECONDS
        while closing.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
