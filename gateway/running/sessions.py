"""The sessions of one gateway with all that belongs to them, wired: no sockets, no HTTP."""

from __future__ import annotations

from collections.abc import Callable

from turnwire.gateway.config import Config
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.peers.bus import Bus
from turnwire.gateway.peers.peers import Peers
from turnwire.gateway.running.observing import GatewayObserver
from turnwire.gateway.running.periodic import Periodic, tick
from turnwire.gateway.sessions.lazy_fields import LazyFields
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.sessions.recovery import recover
from turnwire.gateway.sessions.requests import Requests
from turnwire.gateway.sessions.tending import Tending
from turnwire.gateway.telemetry.metrics import Metrics
from turnwire.gateway.watching.feed import Feed
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionRecord


class SessionParts:
    """Made of a store, a clock and settings, so that the sessions can also be run without a server."""

    def __init__(
        self, config: Config, store: Store, metrics: Metrics, clock: Callable[[], float], bus: Bus | None = None
    ) -> None:
        self._config = config
        self.store = store
        self.lazy_fields = LazyFields(store, self._stored_is_ahead)
        self.feed = Feed(store.events, self._find)
        self.peers = None if config.mongodb_uri is None else Peers(clock)
        announcer = None if self.peers is None else self.peers.announcer
        self.context = Context(
            store=store,
            clock=clock,
            limits=config.limits,
            end_grace=config.end_grace,
            abandon_after=config.abandon_after,
            shared_database=config.mongodb_uri is not None,
            observer=GatewayObserver(self.lazy_fields, self.feed, metrics, announcer),
        )
        self.sessions = LiveSessions(self.context, most=config.max_live_sessions, rest_timeout=config.rest_timeout)
        self.requests = Requests(self.context, self.sessions, self.lazy_fields, rest_timeout=config.rest_timeout)
        self._tending = Tending(
            self.context, self.sessions, idle_evict=config.idle_evict, storage_timeout=config.storage_timeout
        )
        if self.peers is not None:
            self.peers.join(store, self.sessions, self.feed, bus, poll_interval=config.poll_interval)
        store.events.on_commit = metrics.committed

    def _stored_is_ahead(self, stored: SessionRecord) -> None:
        self.sessions.learn(stored)

    def _find(self, session_id: str) -> SessionState | None:
        live = self.sessions.live.get(session_id)
        return None if live is None else live.state

    def start(self, periodic: Periodic) -> None:
        """Begin what the sessions do by themselves."""
        config = self._config
        periodic.begin(recover(self.store, self.sessions))
        periodic.every(config.feed_interval, self.feed.tick)
        periodic.every(config.flush_interval, self.lazy_fields.flush)
        soonest = min(config.abandon_after, config.idle_evict, config.storage_timeout)
        periodic.every(tick(soonest / 8), self._tending.tend)
        if self.peers is not None:
            for task in self.peers.tasks():
                periodic.begin(task)
            periodic.every(config.feed_interval, self.peers.tick)

    async def stop(self) -> None:
        """End all tasks of the sessions. What is not settled by now gets no answer."""
        if self.peers is not None:
            await self.peers.stop()
        await self.sessions.stop()
