"""All live sessions of this gateway: opens, finds and evicts them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from turnwire.gateway.clock import utc_now
from turnwire.gateway.config import Config
from turnwire.gateway.connections.connection import Connection
from turnwire.gateway.live.inbox import Append, End, Renew, Stored
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.live.log_writer import rise, times_of
from turnwire.gateway.running.periodic import Upkeep
from turnwire.gateway.sessions.lazy_fields import LazyFields
from turnwire.gateway.watching.feed import Feed
from turnwire.protocol.errors import (
    ErrorCode,
    Overloaded,
    SessionNotFound,
    StorageUnavailable,
)
from turnwire.protocol.messages import EventIn, FinalStatus, InitialStatus, JsonObject, Session, SessionStatus
from turnwire.protocol.rules import status_after_event
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionQuery, SessionRecord
from turnwire.store.waiting import answered, persist, storage_deadline

if TYPE_CHECKING:
    from turnwire.gateway.rest.sse import SseFollower
    from turnwire.gateway.telemetry.metrics import Metrics

_POLL_SECONDS = 0.01


class View(Struct, frozen=True):
    """A session as of now, and whether its timestamps rise with seq."""

    session: Session
    time_ordered: bool


class Hub:
    """session_id → LiveSession. Owner of that map; connections and followers enter and leave their sets themselves."""

    def __init__(self, config: Config, store: Store, metrics: Metrics) -> None:
        self.config = config
        self.store = store
        self.metrics = metrics
        self.limits = config.limits
        self.loop = asyncio.get_running_loop()
        self.clock: Callable[[], float] = self.loop.time
        self.live: dict[str, LiveSession] = {}
        self.connections: set[Connection] = set()
        self.followers: set[SseFollower] = set()
        self.feed = Feed()
        self.lazy_fields = LazyFields(store.sessions)
        self.draining = False
        self.prepared = False
        """Whether the database has been reached and has its indexes."""
        self.is_alone = config.mongodb_uri is None
        """Whether the database is our embedded one, which no other gateway uses."""
        self._opening: dict[str, asyncio.Future[LiveSession]] = {}
        self._upkeep = Upkeep(self)
        store.events.on_commit = metrics.committed

    def start(self) -> None:
        """Begin the hub's own work."""
        self._upkeep.start()

    # --- opening -----------------------------------------------------------------------------------------------------

    async def open(self, session_id: str) -> LiveSession:
        """The live session, loaded when it is not in memory.

        Raises SessionNotFound, StorageUnavailable, Overloaded when memory is full of sessions in use.
        """
        while (live := self.live.get(session_id)) is None:
            opening = self._opening.get(session_id)
            if opening is None:
                return await self._open(session_id)
            await asyncio.shield(opening)
        live.last_used = self.clock()
        return live

    async def _open(self, session_id: str) -> LiveSession:
        self._opening[session_id] = self.loop.create_future()
        try:
            record, lagged = await self._load(session_id)
            live = self._adopt(record)
        except BaseException as error:
            self._fail_opening(session_id, error if isinstance(error, Exception) else StorageUnavailable())
            raise
        if lagged:
            self.lazy_fields.mark(live, status=True)
        self._opening.pop(session_id).set_result(live)
        return live

    def _fail_opening(self, session_id: str, error: Exception) -> None:
        opening = self._opening.pop(session_id)
        opening.set_exception(error)
        opening.exception()  # whoever waits for it gets it; nobody need

    async def _load(self, session_id: str) -> tuple[SessionRecord, bool]:
        """The record, with its lazy fields brought up to the head of the log, and whether they were behind.

        What a live session knows of the log is not read again.
        """
        record = await self.store.sessions.load(session_id)
        if record is None:
            raise SessionNotFound(session_id)
        live = self.live.get(session_id)
        if live is not None and live.record.last_seq > record.last_seq:
            record.last_seq, record.last_event_at = live.record.last_seq, live.record.last_event_at
            record.time_ordered &= live.record.time_ordered
        found = await self.store.events.head_after(session_id, record.last_seq)
        if found:
            record.time_ordered &= rise(record.last_event_at, times_of(found))
            record.last_seq = found[-1].seq
            record.last_event_at = datetime.fromisoformat(found[-1].timestamp)
        if record.last_seq:
            record.status = status_after_event(record.status)
        return record, bool(found)

    def _adopt(self, record: SessionRecord) -> LiveSession:
        if len(self.live) >= self.config.max_live_sessions and not self._evict_one():
            raise Overloaded(f"the gateway holds its {self.config.max_live_sessions} live sessions; try again later")
        live = self.live[record.session_id] = LiveSession(self, record)
        return live

    def _evict_one(self) -> bool:
        return any(live not in self.lazy_fields and self.evict(live) for live in tuple(self.live.values()))

    def evict(self, live: LiveSession) -> bool:
        """Take a session out of memory, if nobody needs it there; its fields must have been written."""
        if not live.idle:
            return False
        self.live.pop(live.session_id, None)
        live.end.forget_timer()
        return True

    async def create(
        self, *, session_id: str, language: str, metadata: JsonObject, status: InitialStatus
    ) -> tuple[Session, bool]:
        """The session of this id, and whether it was created now; one that exists is returned as it is."""
        if session_id in self.live:
            return self.live[session_id].session(), False
        record = SessionRecord(session_id, language, utc_now(), status=status, metadata=metadata)
        live, created = await self._create(record)
        return live.session(), created

    async def open_or_create(self, session_id: str, language: str) -> tuple[LiveSession, bool]:
        """For a publisher that gives a language: its session, and whether it was created now: it is claimed then.

        It is written first and looked for afterwards: most calls are new, and one write does for creation and claim.
        """
        if session_id in self.live or session_id in self._opening:
            try:
                return await self.open(session_id), False
            except SessionNotFound:
                pass
        return await self._create(SessionRecord(session_id, language, utc_now(), epoch=1))

    async def _create(self, record: SessionRecord) -> tuple[LiveSession, bool]:
        """The session of this id, and whether it was created now, as this record has it."""
        session_id = record.session_id
        async with storage_deadline(self.config.rest_timeout):
            while not self.prepared:  # the embedded database hangs when an index is built while sessions come in
                await asyncio.sleep(_POLL_SECONDS)
        created = await self.store.sessions.create(record)
        if created and session_id not in self.live and session_id not in self._opening:
            self._adopt(record)
        try:
            live = await self.open(session_id)
        except SessionNotFound:
            live = await self.open(session_id)  # somebody's opening was under way, and had looked before
        if created:
            self.feed.changed(live, live.record.status)
        return live, created

    async def bring_up_to_date(self, live: LiveSession) -> None:
        """Take over what another gateway may have done to the session. Raises StorageUnavailable.

        Costs nothing when the publisher is here, which then knows best, or when nobody else uses the database.
        """
        if self.is_alone or live.publisher is not None:
            return
        stored, _ = await self._load(live.session_id)
        if live.is_behind(stored):
            done: asyncio.Future[None] = self.loop.create_future()
            live.submit(Renew(stored, done))
            await answered(done, self.config.rest_timeout)

    # --- REST --------------------------------------------------------------------------------------------------------

    async def view(self, session_id: str) -> View:
        """The session as it is now, without taking it into memory. Raises SessionNotFound, StorageUnavailable."""
        live = self.live.get(session_id)
        if live is not None:
            await self.bring_up_to_date(live)
        record = live.record if live is not None else (await self._load(session_id))[0]
        return View(record.session(), record.time_ordered)

    async def append(self, session_id: str, events: Sequence[EventIn], weight: int) -> list[Stored]:
        """Append all of these or none; the answers are in order. `weight` is their size in bytes. Raises
        SessionNotFound, SessionEnded, StorageUnavailable (then they may or may not be stored), Overloaded."""
        end = self.clock() + self.config.rest_timeout
        live = await self._open_in_time(session_id)
        if live.waiting_events > 4 * max(self.limits.in_flight, self.limits.batch_events):
            raise Overloaded(f"session {session_id!r} has too many events waiting; try again")
        done: asyncio.Future[list[Stored]] = self.loop.create_future()
        live.submit(Append(events, weight, utc_now(), done=done))
        return await answered(done, end - self.clock())

    async def complete(self, session_id: str, status: FinalStatus, reason: str | None) -> tuple[Session, bool]:
        """End the session, once. Returns it, and whether this call ended it."""
        end = self.clock() + self.config.rest_timeout
        live = await self._open_in_time(session_id)
        done: asyncio.Future[tuple[Session, bool]] = self.loop.create_future()
        live.submit(End(status, reason, done=done))
        return await answered(done, end - self.clock())

    async def _open_in_time(self, session_id: str) -> LiveSession:
        live = self.live.get(session_id)
        if live is None:
            async with storage_deadline(self.config.rest_timeout):
                live = await self.open(session_id)
        return live

    async def list_sessions(self, query: SessionQuery) -> list[Session]:
        """A page of sessions, newest first, as they are now. Raises StorageUnavailable."""
        if query.status:
            await self.lazy_fields.flush_statuses()
        records = await self.store.sessions.page(query)
        return [self._as_now(record, query).session() for record in records]

    def _as_now(self, record: SessionRecord, query: SessionQuery) -> SessionRecord:
        """The live record, unless another gateway has gone further, or it has just left the filter: a page stays as
        full as the query found it."""
        live = self.live.get(record.session_id)
        return record if live is None or live.is_behind(record) or not query.matches(live.record) else live.record

    # --- told by live sessions ---------------------------------------------------------------------------------------

    def session_changed(self, live: LiveSession, status_before: SessionStatus) -> None:
        """Its lazy fields or its status are new."""
        self.lazy_fields.mark(live, status=live.record.status != status_before)
        self.feed.changed(live, status_before)

    def count_round(self, duplicates: int, refused: Sequence[ErrorCode]) -> None:
        if duplicates:
            self.metrics.duplicates(duplicates)
        for code in refused:
            self.metrics.nacked(code, 1)

    # --- going away --------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Wait until nothing is in flight, then write what is lazy."""
        while any(live.waiting_events or live.busy_since is not None for live in self.live.values()):
            await asyncio.sleep(_POLL_SECONDS)
        while self.lazy_fields:
            await persist(self.lazy_fields.flush)

    async def stop(self) -> None:
        """End all tasks. What is not settled by now gets no answer."""
        await self._upkeep.stop()
        await asyncio.gather(*(live.stop() for live in self.live.values()))
