"""The MongoDB client: concerns, timeouts, indexes. The only module that imports Motor."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from datetime import UTC
from functools import partial
from typing import Any

from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from bson.int64 import Int64
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from turnwire.protocol.errors import StorageRefused, StorageUnavailable
from turnwire.store.condition import DatabaseCondition, StorageState, refusal_of
from turnwire.store.driver.commands import WriteCommands
from turnwire.store.driver.loop import DriverLoop
from turnwire.store.driver.trouble_listener import TroubleListener
from turnwire.store.erasures import Erasures
from turnwire.store.event_log import EventLog
from turnwire.store.keeping.leases import Leases
from turnwire.store.keeping.retention import RetentionStore
from turnwire.store.opening.format import PACKED
from turnwire.store.opening.format_store import FormatStore
from turnwire.store.opening.index_building import IndexBuilding
from turnwire.store.opening.server_check import is_packaged, unfit
from turnwire.store.revocations import RevocationStore
from turnwire.store.sessions import SessionStore
from turnwire.store.telling.endpoints import EndpointStore
from turnwire.store.telling.progress import ProgressStore

PING_SECONDS = 2.0
INSERT_LANES = 8
"""Concurrent inserts of events on a replica set or cluster, by default."""
FEW_CONNECTIONS = 3
"""Connections of each of several gateways to the packaged server, unless the URI says `maxPoolSize`.

It serves each connection by a thread. To split the page that is written to, it needs a moment in which no thread reads
that page. With tens of connections, threads that wait for the server's one lock hold the page all the time, and inserts
take seconds on an idle core.
"""
CLOSE_SECONDS = 1.0
"""Seconds that closing may take. A database that hangs is not waited for."""
_POLL_SECONDS = 0.005
_USE = "use this server"
_OPTIONS: dict[str, Any] = {
    "heartbeatFrequencyMS": 2000,
    "connectTimeoutMS": 5000,  # also covers heartbeats: the default leaves dead connections hanging for another 20 s
    "serverSelectionTimeoutMS": 5000,
    "timeoutMS": 10_000,
    "maxIdleTimeMS": 240_000,
}


class _PlainInt(TypeDecoder):
    """A decoder of BSON int64 values as plain ints, which every encoder accepts."""

    bson_type = Int64

    def transform_bson(self, value: Any) -> int:
        return int(value)


_TYPES = TypeRegistry([_PlainInt()])
_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC, type_registry=_TYPES)


def options_beside(uri: str, **more: Any) -> dict[str, Any]:
    """Return the driver options of this module, and `more`, except those that the URI sets."""
    given = {part.partition("=")[0].lower() for part in re.split("[&;]", uri.partition("?")[2])}
    return {name: value for name, value in (_OPTIONS | more).items() if name.lower() not in given}


class Store:
    """The durable state, in one database. Belongs to the event loop in which it was made."""

    def __init__(
        self,
        client: Any,
        database: str,
        condition: DatabaseCondition | None = None,
        *,
        embedded: bool = False,
        insert_lanes: int = 1,
        max_waiting_bytes: int | None = None,
        driver_loop: DriverLoop | None = None,
    ) -> None:
        self._client = client
        self._driver_loop = driver_loop
        self._condition = condition or DatabaseCondition()
        self._commands: WriteCommands | None = None
        if driver_loop is not None:
            run = partial(driver_loop.run_in_executor, None)
            self._commands = WriteCommands(
                client.delegate,
                database,
                run,
                most_held=max(2, insert_lanes),
                on_loss=self._condition.lost_connection,
            )
        self._unprepared: str | None = "the indexes have not been made yet"
        # Overrides the URI: an acknowledged write is durable on a majority, and so is everything read.
        self._db = client.get_database(
            database,
            codec_options=_CODEC,
            write_concern=WriteConcern(w="majority", j=True),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self.events = EventLog(
            self._db,
            self._condition,
            lanes=insert_lanes,
            embedded=embedded,
            max_waiting_bytes=max_waiting_bytes,
            command=self._commands,
        )
        self.archive = self.events.archive
        self.retention = RetentionStore(self._db, self._condition)
        self.sessions = SessionStore(
            self._db["sessions"],
            self._condition,
            lanes=insert_lanes,
            changing=self.retention.changing,
        )
        self.erasures = Erasures(self._db, self._condition)
        self.revocations = RevocationStore(self._db["revocations"])
        self.webhooks = EndpointStore(self._db["webhooks"], self._condition)
        self.webhook_progress = ProgressStore(
            self._db["webhookProgress"], self._db["sessions"], self._condition, embedded=embedded
        )
        self.format = FormatStore(self._db, database, raises=embedded)
        self.leases = Leases(self._db, self._condition)
        self._indexes = IndexBuilding(self._db)

    @classmethod
    async def open(cls, uri: str, database: str, *, embedded: bool, insert_lanes: int | None) -> Store:
        """Return a store with as many connections and lanes as suit the server. Raises ValueError as `connect` does.

        Waits up to PING_SECONDS for the server to say what it is. A silent server counts as MongoDB.
        """
        store = cls.connect(
            uri, database, embedded=embedded, insert_lanes=insert_lanes or (1 if embedded else INSERT_LANES)
        )
        if embedded or not await store._is_on_packaged_server():
            return store
        await store.close()
        return cls.connect(uri, database, insert_lanes=insert_lanes or 1, connections=FEW_CONNECTIONS)

    @classmethod
    def connect(
        cls,
        uri: str,
        database: str,
        *,
        app_name: str = "turnwire",
        embedded: bool = False,
        insert_lanes: int = 1,
        connections: int = 100,
        max_waiting_bytes: int | None = None,
    ) -> Store:
        """Return a store on `uri`, which connects in the background. Raises ValueError for an invalid URI.

        Options in the URI override the defaults, except for the write and read concerns. `embedded` says that the
        server is the embedded one, without shards. Up to `insert_lanes` inserts of events, and as many of sessions, run
        concurrently: one is best for a server with one core. The driver opens up to `connections`. At most
        `max_waiting_bytes` of events wait in memory; None means no limit.
        """
        condition = DatabaseCondition()
        loop = DriverLoop(asyncio.get_running_loop())  # type: ignore[abstract]  # Motor asks for no more than it has
        own: dict[str, Any] = {"appname": app_name, "io_loop": loop}
        options = options_beside(uri, maxPoolSize=connections)
        try:
            client = AsyncIOMotorClient(uri, event_listeners=[TroubleListener(condition)], **own, **options)
        except (PyMongoError, ValueError) as error:
            raise ValueError(f"MONGODB_URI cannot be used: {error}") from None
        except OSError as error:  # a file that the URI names
            raise ValueError(f"MONGODB_URI cannot be used: {error.strerror}") from None
        return cls(
            client,
            database,
            condition,
            embedded=embedded,
            insert_lanes=insert_lanes,
            max_waiting_bytes=max_waiting_bytes,
            driver_loop=loop,
        )

    @property
    def seems_up(self) -> bool:
        """Whether the driver's own heartbeats find a server that takes writes and refuses nothing. Sends
        nothing."""
        found: bool = self._client.topology_description.has_writable_server()
        return found and self._condition.state().up

    async def ping(self) -> bool:
        """Return whether the database answers within PING_SECONDS."""
        return (await self._answer()) is None

    async def state(self) -> StorageState:
        """Return whether the storage can be used: it answers within PING_SECONDS, is prepared, and refuses nothing."""
        reason = await self._answer() or self._unprepared
        return self._condition.state() if reason is None else StorageState(False, reason)

    async def _answer(self) -> str | None:
        """Return why a ping fails; None if it succeeds, or is queued while the database answers others."""
        answered = self._condition.answered
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._client.admin.command("ping")
        except TimeoutError:
            return self._condition.silence() if self._condition.answered == answered else None
        except PyMongoError as error:
            return refusal_of(error) or self._condition.silence()
        return None

    async def _is_on_packaged_server(self) -> bool:
        try:
            async with asyncio.timeout(PING_SECONDS):
                return is_packaged(await self._client.admin.command("buildInfo"))
        except (PyMongoError, TimeoutError):
            return False

    async def format_fault(self) -> str | None:
        """Return why the database must not be opened, as text for people; None if it may be, or does not answer."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                return await self.format.fault()
        except (PyMongoError, TimeoutError):
            return None

    async def stored_format(self) -> int | None:
        """Return the format of the stored data; None for a new database or one of 0.1.0. Raises StorageUnavailable."""
        return await self._condition.ask(_USE, self.format.read())

    async def prepare(self) -> None:
        """Check that the server is suitable, and create the indexes for listing sessions. Safe to repeat.

        Raises StorageUnavailable, or StorageRefused if an operator has to intervene first.
        """
        try:
            run = await self._check_server()
            making = self._indexes.make(self.sessions.indexes.models(), run)
            await self._condition.ask("make the indexes of sessions", making)
            stored_format = await self._condition.ask("store its format", self.format.keep())
            self.sessions.packs = not self.sessions.indexes.many and stored_format >= PACKED
        except StorageUnavailable as error:
            self._unprepared = error.reason if isinstance(error, StorageRefused) else str(error)
            raise
        self._unprepared = None

    async def _check_server(self) -> Any | None:
        """Return the id of this run of the server if it lists indexes before they are complete."""
        admin = self._client.admin
        hello = await self._condition.ask(_USE, admin.command("hello"))
        build = await self._condition.ask(_USE, admin.command("buildInfo"))
        self.sessions.indexes.many = "secantusVersion" not in build
        fault = unfit(hello, str(build.get("version"))) or await self._condition.ask(_USE, self.format.fault())
        if fault is not None:
            raise self._condition.refused(_USE, fault)
        self._condition.well(_USE)
        return None if self.sessions.indexes.many else hello.get("topologyVersion", {}).get("processId")

    async def close(self) -> None:
        await self.events.close()
        await self.sessions.close()
        if self._commands is not None:
            self._commands.close()
        # Closing sends a message to the database, which may hang: a separate thread keeps this from blocking the loop.
        closing = threading.Thread(target=self._client.close, name="close-mongo", daemon=True)
        closing.start()
        deadline = time.monotonic() + CLOSE_SECONDS
        while closing.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
        if self._driver_loop is not None:
            self._driver_loop.release()
