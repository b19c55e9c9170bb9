"""All live sessions of this gateway: opens, finds and evicts them, and does for each what time asks for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from gateway.config import Config
from gateway.connection import Connection
from gateway.deadline import storage_deadline
from gateway.feed import Feed
from gateway.inbox import Abandon, Append, End, Stored
from gateway.live_session import LiveSession, utc_now
from protocol.errors import (
    CloseCode,
    ErrorCode,
    Overloaded,
    SessionNotFound,
    StorageUnavailable,
)
from protocol.messages import EventIn, FinalStatus, InitialStatus, JsonObject, Session, SessionStatus
from protocol.rules import has_ended, status_after_event
from store.mongo import Store
from store.sessions import SessionQuery, SessionRecord

if TYPE_CHECKING:
    from gateway.follow import SseFollower
    from gateway.metrics import Metrics

_log = logging.getLogger("turnwire.hub")
_RECOVER_AT_ONCE = 8
_TICKS_PER_SECOND = (1.0, 20.0)


class View(Struct, frozen=True):
    """A session as of now, and whether its timestamps rise with seq."""

    session: Session
    time_ordered: bool


class Hub:
    """session_id → LiveSession. Owner of the map, of the set of sessions with unwritten fields, and of the clock's
    work: pings, lazy writes, evictions, abandonment, the feed's tick."""

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
        self.draining = False
        self.prepared = False
        """Whether the database has been reached and has its indexes."""
        self._opening: dict[str, asyncio.Future[LiveSession]] = {}
        self._dirty: dict[LiveSession, bool] = {}
        """Sessions with unwritten fields, and whether their status is one of them."""
        self._flushing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        store.events.on_commit = metrics.committed

    # --- opening -----------------------------------------------------------------------------------------------------

    async def open(self, session_id: str) -> LiveSession:
        """The live session, loaded when it is not in memory.

        Raises SessionNotFound, StorageUnavailable, Overloaded when memory is full of sessions in use.
        """
        live = self.live.get(session_id)
        if live is not None:
            live.last_used = self.clock()
            return live
        opening = self._opening.get(session_id)
        if opening is None:
            opening = self._opening[session_id] = self.loop.create_future()
            try:
                record = await self._load(session_id)
                self._settle_opening(session_id, self._adopt(record))
            except BaseException as error:
                failure = error if isinstance(error, Exception) else StorageUnavailable()
                self._fail_opening(session_id, failure)
                raise
        return await asyncio.shield(opening)

    def _settle_opening(self, session_id: str, live: LiveSession) -> None:
        self._opening.pop(session_id).set_result(live)

    def _fail_opening(self, session_id: str, error: Exception) -> None:
        opening = self._opening.pop(session_id)
        opening.set_exception(error)
        opening.exception()  # whoever waits for it gets it; nobody need

    async def _load(self, session_id: str) -> SessionRecord:
        """The record, with its lazy fields brought up to the head of the log."""
        record = await self.store.sessions.load(session_id)
        if record is None:
            raise SessionNotFound(session_id)
        found = await self.store.events.head_after(session_id, record.last_seq)
        if found:
            record.last_seq = found[-1].seq
            record.last_event_at = datetime.fromisoformat(found[-1].timestamp)
        if record.last_seq:
            record.status = status_after_event(record.status)
        return record

    def _adopt(self, record: SessionRecord) -> LiveSession:
        if len(self.live) >= self.config.max_live_sessions and not self._evict_one():
            raise Overloaded(f"the gateway holds its {self.config.max_live_sessions} live sessions; try again later")
        live = self.live[record.session_id] = LiveSession(self, record)
        return live

    def _evict_one(self) -> bool:
        for session_id, live in self.live.items():
            if live.idle and live not in self._dirty:
                del self.live[session_id]
                return True
        return False

    async def create(
        self, *, session_id: str, language: str, metadata: JsonObject, status: InitialStatus
    ) -> tuple[Session, bool]:
        """The session of this id, and whether it was created now; one that exists is returned as it is."""
        if session_id in self.live:
            return self.live[session_id].session(), False
        record = SessionRecord(session_id, language, utc_now(), status=status, metadata=metadata)
        created = await self.store.sessions.create(record)
        if created and session_id not in self.live and session_id not in self._opening:
            self._adopt(record)
        live = await self.open(session_id)
        if created:
            self.feed.changed(live, live.record.status)
        return live.session(), created

    async def open_or_create(self, session_id: str, language: str) -> LiveSession:
        """For a publisher that gives a language: its session, created when there is none."""
        try:
            return await self.open(session_id)
        except SessionNotFound:
            await self.create(session_id=session_id, language=language, metadata={}, status="initiated")
            return await self.open(session_id)

    # --- REST --------------------------------------------------------------------------------------------------------

    async def view(self, session_id: str) -> View:
        """The session as it is now, without taking it into memory. Raises SessionNotFound, StorageUnavailable."""
        live = self.live.get(session_id)
        record = live.record if live is not None else await self._load(session_id)
        return View(record.session(), record.time_ordered)

    async def append(self, session_id: str, events: Sequence[EventIn]) -> list[Stored]:
        """Append all of these or none; the answers are in order. Raises SessionNotFound, SessionEnded,
        StorageUnavailable (then they may or may not be stored), Overloaded."""
        done: asyncio.Future[list[Stored]] = self.loop.create_future()
        async with storage_deadline(self.config.rest_timeout):
            live = await self.open(session_id)
            if live.waiting_events > 4 * max(self.limits.in_flight, self.limits.batch_events):
                raise Overloaded(f"session {session_id!r} has too many events waiting; try again")
            weight = sum(_payload_weight(event.payload) for event in events)
            live.submit(Append(list(events), weight, utc_now(), done=done))
            return await done

    async def complete(self, session_id: str, status: FinalStatus, reason: str | None) -> tuple[Session, bool]:
        """End the session, once. Returns it, and whether this call ended it."""
        done: asyncio.Future[tuple[Session, bool]] = self.loop.create_future()
        async with storage_deadline(self.config.rest_timeout):
            live = await self.open(session_id)
            live.submit(End(status, reason, done=done))
            return await done

    async def list_sessions(self, query: SessionQuery) -> list[Session]:
        """A page of sessions, newest first, as they are now. Raises StorageUnavailable."""
        await self._flush([live for live, status in self._dirty.items() if status])
        records = await self.store.sessions.page(query)
        current = [self.live[r.session_id].record if r.session_id in self.live else r for r in records]
        return [record.session() for record in current if query.matches(record)]

    # --- told by live sessions ---------------------------------------------------------------------------------------

    def session_changed(self, live: LiveSession, status_before: SessionStatus) -> None:
        """Its lazy fields or its status are new. (An end is written at once, with all fields.)"""
        status = live.record.status
        if status != status_before and has_ended(status):
            if not live.unsaved_digests:
                self._dirty.pop(live, None)
        else:
            self.mark_dirty(live, status=status != status_before)
        self.feed.changed(live, status_before)

    def mark_dirty(self, live: LiveSession, *, status: bool = False) -> None:
        """It has fields to be written with the next flush; `status` tells whether that is one of them."""
        self._dirty[live] = self._dirty.get(live, False) or status

    def count_round(self, duplicates: int, refused: Sequence[ErrorCode]) -> None:
        if duplicates:
            self.metrics.duplicates(duplicates)
        for code in refused:
            self.metrics.nacked(code, 1)

    # --- what time asks for ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin the hub's own work."""
        for work in (self._prepare, self._tick_feed, self._keep_alive, self._flush_lazily, self._tend_sessions):
            self._tasks.append(self.loop.create_task(work(), name=work.__name__))
            self._tasks[-1].add_done_callback(_report)

    async def _prepare(self) -> None:
        """Reach the database, however long it takes, then take up the sessions that had not ended."""
        told = False
        while True:
            try:
                await self.store.prepare()
                break
            except StorageUnavailable as error:
                if not told:
                    _log.warning("the database cannot be reached; trying again until it can: %s", error.message[:300])
                told = True
                await asyncio.sleep(0.5)
        self.prepared = True
        if told:
            _log.info("the database has been reached")
        await self._recover()

    async def _recover(self) -> None:
        """Open the sessions a gateway left behind: their lazy fields are brought up to date, and those whose
        publisher does not come back will end as abandoned."""
        while True:
            try:
                left = await self.store.sessions.unended()
                break
            except StorageUnavailable:
                await asyncio.sleep(0.5)
        gate = asyncio.Semaphore(_RECOVER_AT_ONCE)

        async def recover(session_id: str) -> None:
            async with gate:
                try:
                    live = await self.open(session_id)
                except (StorageUnavailable, SessionNotFound, Overloaded):
                    return
                if live.record.last_seq:
                    self.mark_dirty(live, status=True)

        for start in range(0, len(left), 1000):
            await asyncio.gather(*(recover(session_id) for session_id in left[start : start + 1000]))

    async def _tick_feed(self) -> None:
        while True:
            await asyncio.sleep(self.config.feed_interval)
            self.feed.tick()

    async def _keep_alive(self) -> None:
        pause = self._pause(min(self.config.ping_interval, self.config.pong_timeout) / 4)
        while True:
            await asyncio.sleep(pause)
            now = self.clock()
            for connection in tuple(self.connections):
                connection.check_alive(now)

    async def _flush_lazily(self) -> None:
        while True:
            await asyncio.sleep(self.config.flush_interval)
            try:
                await self._flush(list(self._dirty))
            except StorageUnavailable:
                continue

    async def _flush(self, lives: Sequence[LiveSession]) -> None:
        """Write the lazy fields of these sessions. Raises StorageUnavailable; they stay dirty then."""
        if not lives:
            return
        async with self._flushing:
            due = {live: self._dirty.pop(live) for live in lives if live in self._dirty}
            try:
                await self.store.sessions.save_lazy_fields([live.record for live in due])
                for live in due:
                    while live.unsaved_digests:
                        page, ids, times = live.unsaved_digests[0]
                        await self.store.events.save_digest(live.session_id, page, ids, times)
                        live.unsaved_digests.pop(0)
            except StorageUnavailable:
                for live, status in due.items():
                    self.mark_dirty(live, status=status)
                raise

    async def _tend_sessions(self) -> None:
        """Evict who is idle, end who is abandoned, let go of publishers the storage keeps waiting too long."""
        config = self.config
        pause = self._pause(min(config.abandon_after, config.idle_evict, config.storage_timeout) / 8)
        beat_every = config.abandon_after / 4
        next_beat = self.clock() + beat_every
        while True:
            await asyncio.sleep(pause)
            now = self.clock()
            beat = now >= next_beat
            if beat:
                next_beat = now + beat_every
            for live in tuple(self.live.values()):
                self._tend(live, now, beat=beat)

    def _tend(self, live: LiveSession, now: float, *, beat: bool) -> None:
        config = self.config
        if live.publisher is not None:
            if live.busy_since is not None and now - live.busy_since > config.storage_timeout:
                live.publisher.close(CloseCode.TRY_LATER, "the storage is away; reconnect and resume")
            if beat and not live.ended:
                live.record.heartbeat += 1
                self.mark_dirty(live)
            return
        waits_for_publisher = live.record.epoch > 0 and not live.ended
        if waits_for_publisher and live.quiet_for(config.abandon_after) and live not in self._dirty:
            if live.busy_since is None:
                live.submit(Abandon())
        elif not waits_for_publisher and live.idle and live not in self._dirty:
            if now - live.last_used > config.idle_evict and self.live.get(live.session_id) is live:
                del self.live[live.session_id]

    def _pause(self, wanted: float) -> float:
        slowest, fastest = _TICKS_PER_SECOND
        return min(1 / slowest, max(1 / fastest, wanted))

    # --- going away --------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Wait until nothing is in flight, then write what is lazy."""
        while any(live.waiting_events or live.busy_since is not None for live in self.live.values()):
            await asyncio.sleep(0.01)
        while self._dirty:
            try:
                await self._flush(list(self._dirty))
            except StorageUnavailable:
                await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """End all tasks. What is not settled by now gets no answer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(live.stop() for live in self.live.values()))


def _payload_weight(payload: JsonObject) -> int:
    return 64 + 32 * len(payload)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("the hub's task %s ended", task.get_name(), exc_info=task.exception())
