"""What time asks for: reaching the database, pings, lazy writes, evictions, abandonment, the feed's tick."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.deadline import persist
from gateway.inbox import Abandon
from protocol.errors import CloseCode, Overloaded, SessionNotFound, StorageUnavailable

if TYPE_CHECKING:
    from gateway.hub import Hub
    from gateway.live_session import LiveSession

_log = logging.getLogger("turnwire.hub")
_RETRY_SECONDS = 0.5
_RECOVER_AT_ONCE = 8
_RECOVER_CHUNK = 1000
_FASTEST_TICK, _SLOWEST_TICK = 0.05, 1.0
"""Seconds."""


class Upkeep:
    """The hub's own tasks. Owner of nothing but them."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        for work in (self._reach_database, self._tick_feed, self._keep_alive, self._flush, self._tend_sessions):
            task = self._hub.loop.create_task(work(), name=work.__name__)
            task.add_done_callback(_report)
            self._tasks.append(task)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _reach_database(self) -> None:
        """Reach the database, however long it takes, then take up the sessions that had not ended."""
        hub = self._hub
        told = False
        while not hub.prepared:
            try:
                await hub.store.prepare()
                hub.prepared = True
            except StorageUnavailable as error:
                if not told:
                    _log.warning("the database cannot be reached; trying until it can: %s", error.message[:300])
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
                with suppress(StorageUnavailable, SessionNotFound, Overloaded):
                    await self._hub.open(session_id)

        for start in range(0, len(left), _RECOVER_CHUNK):
            await asyncio.gather(*(recover(session_id) for session_id in left[start : start + _RECOVER_CHUNK]))

    async def _tick_feed(self) -> None:
        while True:
            await asyncio.sleep(self._hub.config.feed_interval)
            self._hub.feed.tick()

    async def _keep_alive(self) -> None:
        pause = _tick(min(self._hub.config.ping_interval, self._hub.config.pong_timeout) / 4)
        while True:
            await asyncio.sleep(pause)
            now = self._hub.clock()
            for connection in tuple(self._hub.connections):
                connection.check_alive(now)

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(self._hub.config.flush_interval)
            with suppress(StorageUnavailable):
                await self._hub.lazy_fields.flush()

    async def _tend_sessions(self) -> None:
        hub, config = self._hub, self._hub.config
        pause = _tick(min(config.abandon_after, config.idle_evict, config.storage_timeout) / 8)
        beat_every = config.abandon_after / 4
        next_beat = hub.clock() + beat_every
        while True:
            await asyncio.sleep(pause)
            now = hub.clock()
            beat = now >= next_beat
            if beat:
                next_beat = now + beat_every
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
        if live.record.epoch > 0 and not live.ended:
            if live.quiet_for(config.abandon_after) and live.busy_since is None:
                live.submit(Abandon())
        elif live.idle and now - live.last_used > config.idle_evict:
            self._hub.evict(live)


def _tick(wanted: float) -> float:
    return min(_SLOWEST_TICK, max(_FASTEST_TICK, wanted))


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("the hub's task %s ended", task.get_name(), exc_info=task.exception())
