"""All sessions in memory: opened, found, created, evicted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.grace import forget_timer
from turnwire.gateway.live.items import RenewItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.sessions.loading import load
from turnwire.protocol.errors import Overloaded, SessionNotFound, StorageUnavailable
from turnwire.store.session_record import new_life
from turnwire.store.sessions import SessionRecord
from turnwire.store.waiting import storage_deadline


class LiveSessions:
    """session_id → LiveSession. Owner of that map."""

    def __init__(self, context: Context, *, most: int, rest_timeout: float) -> None:
        """Holds at most so many sessions; a creation waits `rest_timeout` seconds for the database to be prepared."""
        self.live: dict[str, LiveSession] = {}
        self.prepared = asyncio.Event()
        """Whether the database has been reached and has its indexes."""
        self._context = context
        self._most = most
        self._rest_timeout = rest_timeout
        self._opening: dict[str, asyncio.Task[None]] = {}
        self.finish_erasure: Callable[[str], Awaitable[object]] = _nothing
        """Waits until a session of this id that is being erased is gone."""

    def find(self, session_id: str) -> LiveSession | None:
        """The session if it is in memory, where it then stays for a while."""
        live = self.live.get(session_id)
        if live is not None:
            live.state.last_used = self._context.clock()
        return live

    async def open(self, session_id: str) -> LiveSession:
        """The live session, loaded when it is not in memory.

        Whoever needs it beyond the next await holds it (`LiveSession.held`): else it may be evicted meanwhile. Raises
        SessionNotFound, StorageUnavailable, Overloaded when memory is full of sessions in use.
        """
        while (live := self.live.get(session_id)) is None:
            await _outcome(self._opening.get(session_id) or self._begin_opening(session_id))
        live.state.last_used = self._context.clock()
        return live

    def _begin_opening(self, session_id: str) -> asyncio.Task[None]:
        """In a task of its own: one who gives up waiting for it ends nobody else's wait."""
        opening = asyncio.get_running_loop().create_task(self._open(session_id))
        self._opening[session_id] = opening
        opening.add_done_callback(lambda _: self._opening.pop(session_id))
        opening.add_done_callback(_retrieve)
        return opening

    async def _open(self, session_id: str) -> None:
        record, lagged = await load(self._context.store, session_id)
        live = self._adopt(record)
        if lagged:
            self._context.observer.unwritten(live.state, status=True)

    def _adopt(self, record: SessionRecord) -> LiveSession:
        if len(self.live) >= self._most and not self._evict_one():
            raise Overloaded(f"the gateway holds its {self._most} live sessions; try again later")
        live = self.live[record.session_id] = LiveSession(self._context, record)
        return live

    def _evict_one(self) -> bool:
        return any(map(self.evict, tuple(self.live.values())))

    def evict(self, live: LiveSession) -> bool:
        """Take a session out of memory, if nobody needs it there and all of it is stored."""
        if not live.idle:
            return False
        self.live.pop(live.session_id, None)
        forget_timer(live.state)
        return True

    async def create(self, record: SessionRecord) -> tuple[LiveSession, bool]:
        """The session of this id, and whether it was created now, as this record has it; one that exists stays as it
        is. While one of this id is being erased this waits. Raises StorageUnavailable, Overloaded."""
        async with storage_deadline(self._rest_timeout):
            await self.prepared.wait()  # the embedded database hangs when an index is built while sessions come in
        created = await self._context.store.sessions.create(record)
        if created:
            return await self._created(record), True
        async with storage_deadline(self._rest_timeout):
            return await self._existing(record)

    async def _created(self, record: SessionRecord) -> LiveSession:
        session_id = record.session_id
        older = self.live.get(session_id)
        if older is not None and older.state.record.life != record.life:
            self.renew(session_id)  # erased at another gateway, which it finds out now
            self.remove(older.state)
        if session_id not in self.live and session_id not in self._opening:
            self._adopt(record)
        try:
            live = await self.open(session_id)
        except SessionNotFound:
            live = await self.open(session_id)  # somebody's opening was under way, and had looked before
        self._context.observer.created(live.state)
        return live

    async def _existing(self, record: SessionRecord) -> tuple[LiveSession, bool]:
        """The session that was in the way, or the new one if that is erased meanwhile."""
        while True:
            try:
                return await self.open(record.session_id), False
            except SessionNotFound:
                await self.finish_erasure(record.session_id)
            if await self._context.store.sessions.create(record):
                return await self._created(record), True

    async def open_or_create(self, session_id: str, language: str, holder: str) -> tuple[LiveSession, bool]:
        """For a publisher that gives a language: its session, and whether it was created now: it is claimed then.

        It is written first and looked for afterwards: most calls are new, and one write does for creation and claim.
        """
        if session_id in self.live or session_id in self._opening:
            try:
                return await self.open(session_id), False
            except SessionNotFound:
                pass
        record = SessionRecord(session_id, language, utc_now(), epoch=1, life=new_life())
        if self._context.shared_database:
            record.holder = holder
        return await self.create(record)

    def remove(self, state: SessionState) -> None:
        """The session is no more."""
        live = self.live.get(state.session_id)
        if live is not None and live.state is state:
            del self.live[state.session_id]

    def learn(self, stored: SessionRecord) -> None:
        """The store turned out to know more of this session than its record here."""
        self.renew(stored.session_id)

    def renew(self, session_id: str) -> None:
        """Have the session, if it is in memory, take over what is stored of it: it may be no more."""
        live = self.live.get(session_id)
        if live is not None:
            with suppress(Overloaded):  # so much waits that it is learned anyway
                live.submit(RenewItem())

    @property
    def at_work(self) -> bool:
        """Whether anything is in flight."""
        return any(live.waiting_events or live.state.busy_since is not None for live in self.live.values())

    async def stop(self) -> None:
        """End all tasks. What is not settled by now gets no answer."""
        for opening in tuple(self._opening.values()):
            opening.cancel()
        await asyncio.gather(*(live.stop() for live in self.live.values()))


async def _nothing(_session_id: str) -> None:
    """Nobody erases sessions here."""


async def _outcome(opening: asyncio.Task[None]) -> None:
    """Wait for it. Raises StorageUnavailable when `stop` has cancelled it, maybe before it began."""
    try:
        await asyncio.shield(opening)
    except asyncio.CancelledError:
        waiter = asyncio.current_task()
        if opening.cancelled() and waiter is not None and not waiter.cancelling():
            raise StorageUnavailable("the gateway is going away; try again") from None
        raise


def _retrieve(task: asyncio.Task[None]) -> None:
    """Whoever waits for it gets its error; nobody need."""
    if not task.cancelled():
        task.exception()
