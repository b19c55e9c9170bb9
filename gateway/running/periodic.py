"""What time asks for: reaching the database, pings, lazy writes, evictions, abandonment, the feed's tick."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from turnwire.gateway.live.inbox import Abandon
from turnwire.protocol.errors import CloseCode, Overloaded, SessionNotFound, StorageUnavailable
from turnwire.store.waiting import persist

if TYPE_CHECKING:
    from turnwire.gateway.live.live_session import LiveSession
    from turnwire.gateway.sessions.live_sessions import Hub

_log = logging.getLogger("turnwire.hub")
_RETRY_SECONDS = 0.5
_RECOVER_AT_ONCE = 8
_RECOVER_CHUNK = 1000
_BEATS = 4
"""How often a publisher shows itself to other gateways in the time after which its session would be abandoned."""
_HELD_UP_TICKS = 3
_FASTEST_TICK, _SLOWEST_TICK = 0.05, 1.0
"""Seconds."""


class Upkeep:
    """The hub's own tasks. Owner of nothing but them."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._tasks: list[asyncio.Task[None]] = []
        self._next_beat = 0.0
        self._kept_alive = 0.0

    def start(self) -> None:
        config = self._hub.config
        self._next_beat = self._hub.clock() + config.abandon_after / _BEATS
        self._begin(self._reach_database())
        self._begin(self._repeat(config.feed_interval, self._tick_feed))
        self._begin(self._repeat(self._alive_tick, self._keep_alive))
        self._begin(self._repeat(config.flush_interval, self._hub.lazy_fields.flush))
        soonest = min(config.abandon_after, config.idle_evict, config.storage_timeout)
        self._begin(self._repeat(_tick(soonest / 8), self._tend_sessions))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._hub.loop.create_task(work)
        task.add_done_callback(_report)
        self._tasks.append(task)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, pause: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do it again and again. What fails once is tried again the next time."""
        while True:
            await asyncio.sleep(pause)
            try:
                await work()
            except StorageUnavailable:
                pass
            except Exception:
                _log.exception("unexpected error in %s", work)

    async def _reach_database(self) -> None:
        """Reach the database, however long it takes, then take up the sessions that had not ended."""
        hub = self._hub
        told = False
        while not hub.prepared:
            try:
                await hub.store.prepare()
                hub.prepared = True
            except StorageUnavailable:
                told = True
                await asyncio.sleep(_RETRY_SECONDS)
        if told:
            _log.info("the database has been reached")
        await self._recover()

    async def _recover(self) -> None:
        """Open the sessions a gateway left behind: their lazy fields are brought up to date, and those whose publisher
        does not come back will end as abandoned."""
        left = await persist(self._hub.store.sessions.unended)
        gate = asyncio.Semaphore(_RECOVER_AT_ONCE)

        async def recover(session_id: str) -> None:
            async with gate:
                with suppress(SessionNotFound, Overloaded):
                    await persist(lambda: self._hub.open(session_id))

        for start in range(0, len(left), _RECOVER_CHUNK):
            await asyncio.gather(*(recover(session_id) for session_id in left[start : start + _RECOVER_CHUNK]))

    async def _tick_feed(self) -> None:
        self._hub.feed.tick()

    @property
    def _alive_tick(self) -> float:
        return _tick(min(self._hub.config.ping_interval, self._hub.config.pong_timeout) / 4)

    async def _keep_alive(self) -> None:
        now, before = self._hub.clock(), self._kept_alive
        self._kept_alive = now
        if now - before > _HELD_UP_TICKS * self._alive_tick:
            return  # we have been held up ourselves: what has arrived meanwhile is read first
        for connection in tuple(self._hub.connections):
            connection.check_alive(now)

    async def _tend_sessions(self) -> None:
        hub, now = self._hub, self._hub.clock()
        beat = now >= self._next_beat
        if beat:
            self._next_beat = now + hub.config.abandon_after / _BEATS
        for live in tuple(hub.live.values()):
            if live.publisher is not None:
                self._tend_published(live, now, beat=beat)
            elif live not in hub.lazy_fields:
                self._tend_deserted(live, now)

    def _tend_published(self, live: LiveSession, now: float, *, beat: bool) -> None:
        """Let go of a publisher the storage keeps waiting too long; show other gateways that one is here."""
        waited = 0.0 if live.busy_since is None else now - live.busy_since
        if live.publisher is not None and waited > self._hub.config.storage_timeout:
            live.publisher.close(CloseCode.TRY_LATER, "the storage is away; reconnect and resume")
        if beat and not live.ended:
            live.record.heartbeat += 1
            self._hub.lazy_fields.mark(live)

    def _tend_deserted(self, live: LiveSession, now: float) -> None:
        """End what is abandoned, evict what is idle."""
        config = self._hub.config
        if live.deserted:
            if live.quiet_for(config.abandon_after) and live.busy_since is None:
                live.submit(Abandon())
        elif live.idle and now - live.last_used > config.idle_evict:
            self._hub.evict(live)


def _tick(wanted: float) -> float:
    return min(_SLOWEST_TICK, max(_FASTEST_TICK, wanted))


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("the hub's task %s ended", task.get_coro(), exc_info=task.exception())
