"""All sessions in memory: opens, finds, creates and evicts them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.grace import forget_timer
from turnwire.gateway.live.items import RenewItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.sessions.loading import load
from turnwire.gateway.sessions.memory import Memory, size_of
from turnwire.gateway.turns import A_FEW, MANY, some_in_each_pass
from turnwire.protocol.errors import NoSuchSession, Overloaded
from turnwire.store.session_record import new_life
from turnwire.store.sessions import SessionRecord
from turnwire.store.waiting import shared, storage_deadline


class LiveSessions:
    """The live sessions of this gateway, by sessionId."""

    def __init__(self, context: Context, *, most: int, most_bytes: int, rest_timeout: float) -> None:
        """Hold at most `most` sessions, which take about `most_bytes`; 0 bytes means no limit. `rest_timeout`: seconds
        that a creation waits for the database's indexes."""
        self.live: dict[str, LiveSession] = {}
        self.prepared = asyncio.Event()
        """Set once the database has been reached and has its indexes."""
        self.idle = OrderedDict[str, LiveSession]()
        """Sessions that were idle when they were last tended. They leave first when memory is full."""
        self._context = context
        self._most = most
        self.memory = Memory(most_bytes)
        self._rest_timeout = rest_timeout
        self._opening: dict[str, asyncio.Task[None]] = {}
        self.finish_erasure: Callable[[str], Awaitable[object]] = _nothing
        """Waits until a session of this id that is being erased is gone."""
        self.left: Callable[[str], None] = _ignore
        """Called with the id of each session that has left memory."""

    def find(self, session_id: str) -> LiveSession | None:
        """Return the session if it is in memory. Counts as a use of it."""
        live = self.live.get(session_id)
        if live is not None:
            live.state.last_used = self._context.clock()
        return live

    async def open(self, session_id: str) -> LiveSession:
        """Return the live session, loaded if it is not in memory.

        It may be evicted at the next await unless the caller holds it (`LiveSession.held`). Raises NoSuchSession,
        StorageUnavailable, and Overloaded if memory is full of sessions that are in use.
        """
        while (live := self.live.get(session_id)) is None:
            await shared(self._opening.get(session_id) or self._begin_opening(session_id))
        live.state.last_used = self._context.clock()
        return live

    def _begin_opening(self, session_id: str) -> asyncio.Task[None]:
        """Open the session in a separate task, so that a caller who stops waiting does not cancel it for others."""
        opening = asyncio.get_running_loop().create_task(self._open(session_id))
        self._opening[session_id] = opening
        opening.add_done_callback(lambda _: self._opening.pop(session_id))
        opening.add_done_callback(_retrieve)
        return opening

    async def _open(self, session_id: str) -> None:
        as_of = self._context.store.events.troubles
        loaded = await load(self._context.store, session_id)
        live = self._adopt(loaded.record, as_of)
        if loaded.lagged:
            live.state.stored_seq = loaded.stored_seq
            self._context.observer.unwritten(live.state)
        if loaded.rolled_back:
            self._context.observer.rolled_back(live.state)

    def _adopt(self, record: SessionRecord, as_of: int) -> LiveSession:
        self._make_room(record)
        self.memory.enter(record)
        live = self.live[record.session_id] = LiveSession(self._context, record)
        live.state.log.as_of = as_of
        return live

    def _make_room(self, record: SessionRecord) -> None:
        """Evict idle sessions until this one fits in. Raises Overloaded if it does not fit."""
        if len(self.live) >= self._most and not self._evict_one():
            raise Overloaded(
                f"the gateway holds {self._most} live sessions, which is the limit; try again later", "memory"
            )
        size = size_of(record)
        while not self.memory.has_room(size):
            if not self._evict_one():
                raise Overloaded("the live sessions use all the memory allowed to them; try again later", "memory")

    def _evict_one(self) -> bool:
        """Evict a session that was idle when it was tended, or is among the MANY that have not been looked at for the
        longest time. Return whether there was one.

        Memory may be full of thousands of sessions in use, and any number of clients may ask for more.
        """
        for _ in range(min(MANY, len(self.idle))):
            if self.evict(self.idle.popitem(last=False)[1]):
                return True
        for live in tuple(islice(self.live.values(), MANY)):
            if self.evict(live):
                return True
            self.live[live.session_id] = self.live.pop(live.session_id)  # the next look begins with others
        return False

    def evict(self, live: LiveSession) -> bool:
        """Remove the session from memory if it is idle. Return whether it was removed."""
        if not live.idle:
            return False
        self._leave(live.session_id)
        forget_timer(live.state)
        return True

    def _leave(self, session_id: str) -> None:
        self.live.pop(session_id, None)
        self.idle.pop(session_id, None)
        self.memory.leave(session_id)
        self.left(session_id)

    async def create(self, record: SessionRecord) -> tuple[LiveSession, bool]:
        """Create the session of this record, unless one with its id exists, which stays as it is.

        Return the session and whether it was created. Waits while a session of this id is being erased. Raises
        StorageUnavailable, Overloaded.
        """
        async with storage_deadline(self._rest_timeout):
            await self.prepared.wait()  # the embedded database hangs if an index is built while sessions come in
        if record.session_id not in self.live:
            self._make_room(record)  # before the store gets a session that nobody would be told of
        as_of = self._context.store.events.troubles
        created = await self._context.store.sessions.create(record)
        if created:
            return await self._created(record, as_of), True
        async with storage_deadline(self._rest_timeout):
            return await self._existing(record)

    async def _created(self, record: SessionRecord, as_of: int) -> LiveSession:
        session_id = record.session_id
        older = self.live.get(session_id)
        if older is not None and older.state.record.life != record.life:
            self.renew(session_id)  # erased at another gateway, as the session finds out now
            self.remove(older.state)
        if session_id not in self.live and session_id not in self._opening:
            self._adopt(record, as_of)
        try:
            live = await self.open(session_id)
        except NoSuchSession:
            live = await self.open(session_id)  # a concurrent opening had looked before the creation
        self._context.observer.created(live.state)
        return live

    async def _existing(self, record: SessionRecord) -> tuple[LiveSession, bool]:
        """Return the session that was in the way, or the new one if that is erased meanwhile."""
        while True:
            try:
                return await self.open(record.session_id), False
            except NoSuchSession:
                await self.finish_erasure(record.session_id)
            as_of = self._context.store.events.troubles
            if await self._context.store.sessions.create(record):
                return await self._created(record, as_of), True

    async def open_or_create(
        self, session_id: str, language: str, holder: str, traceparent: str | None = None
    ) -> tuple[LiveSession, bool]:
        """Open the session of a publisher that gives a language, or create it with epoch 1, claimed for this publisher.

        Return the session and whether it was created. Creation is tried before loading, because most sessions are
        new and a single write then does for creation and claim.
        """
        if session_id in self.live or session_id in self._opening:
            try:
                return await self.open(session_id), False
            except NoSuchSession:
                pass  # it was erased a moment ago, and is created below
        record = SessionRecord(session_id, language, utc_now(), epoch=1, life=new_life(), traceparent=traceparent)
        if self._context.shared_database:
            record.holder = holder
        return await self.create(record)

    def remove(self, state: SessionState) -> None:
        """Remove an erased session from memory."""
        live = self.live.get(state.session_id)
        if live is not None and live.state is state:
            self._leave(state.session_id)

    def learn(self, stored: SessionRecord) -> None:
        """Bring the session up to date, if it is in memory, because the stored one has turned out to be newer."""
        self.renew(stored.session_id)

    def renew(self, session_id: str) -> None:
        """Have the session, if it is in memory, adopt its stored state. It may have been erased."""
        live = self.live.get(session_id)
        if live is not None:
            with suppress(Overloaded):  # the many waiting items will bring it up to date
                live.submit(RenewItem())

    async def at_work(self) -> bool:
        """Return whether any session has an item in progress or events waiting. Looks at some in each pass of the
        loop."""
        async for live in some_in_each_pass(tuple(self.live.values()), MANY):
            if live.waiting_events or live.state.busy_since is not None:
                return True
        return False

    async def stop(self) -> None:
        """End all tasks, a few in each pass of the loop. Items that still wait fail with StorageUnavailable."""
        for opening in tuple(self._opening.values()):
            opening.cancel()
        lives = tuple(self.live.values())
        for start in range(0, len(lives), A_FEW):
            await asyncio.gather(*(live.stop() for live in lives[start : start + A_FEW]))


async def _nothing(_session_id: str) -> None:
    """Do nothing: nobody erases sessions here."""


def _ignore(_session_id: str) -> None:
    """Do nothing: nobody counts the sessions here."""


def _retrieve(task: asyncio.Task[None]) -> None:
    """Mark the task's error as retrieved: perhaps nobody waits for it any more."""
    if not task.cancelled():
        task.exception()
