"""The wiring of one gateway's sessions and all that belongs to them, without sockets and HTTP."""

from __future__ import annotations

from collections.abc import Callable

from turnwire.gateway.access.enders import Enders
from turnwire.gateway.config import Config, ConfigError
from turnwire.gateway.finding.search import FLUSH_SECONDS, Search
from turnwire.gateway.live.context import Context, WaitingBytes
from turnwire.gateway.live.items import FiguresItem
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.peers.bus import Bus
from turnwire.gateway.peers.peers import Peers
from turnwire.gateway.running.observing import GatewayObserver
from turnwire.gateway.running.periodic import Periodic, tick
from turnwire.gateway.sessions.erasing import Erasing
from turnwire.gateway.sessions.figures_reader import FiguresReader
from turnwire.gateway.sessions.lazy_fields import LazyFields
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.sessions.pages import Pages
from turnwire.gateway.sessions.recovery import recover
from turnwire.gateway.sessions.requests import Requests
from turnwire.gateway.sessions.sweeping import Sweep
from turnwire.gateway.sessions.tending import Tending
from turnwire.gateway.telemetry.metrics import Metrics
from turnwire.gateway.tracing.switch import AnyTracing, Untraced
from turnwire.gateway.turns import Turns
from turnwire.gateway.watching.feed import Feed
from turnwire.gateway.watching.replays import Replays
from turnwire.store.mongo import Store

_SWEEP_SECONDS = 60.0
"""Longest pause between two looks at sessions that may be in the memory of no gateway."""
_SWEEP_ALONE_SECONDS = 3600.0
"""The same without other gateways, where only sessions without a publisher can be overlooked."""


def bus_of(config: Config) -> Bus | None:
    """Return the bus that the settings name; None without one. Raises ConfigError for an invalid URL."""
    url = config.bus_url
    if url is None:
        return None
    from turnwire.gateway.peers.redis_bus import RedisBus  # noqa: PLC0415 - takes as long to import as everything else

    try:
        return RedisBus(url, f"turnwire:{config.mongodb_database}:")
    except ValueError as error:
        raise ConfigError(f"REDIS_URL cannot be used: {error}") from None


class SessionParts:
    """All parts that sessions need, made from a store, a clock and settings. They can run without a server."""

    def __init__(
        self,
        config: Config,
        store: Store,
        metrics: Metrics,
        clock: Callable[[], float],
        *,
        bus: Bus | None = None,
        search: Search | None = None,
        enders: Enders | None = None,
        tracing: AnyTracing | None = None,
    ) -> None:
        self._config = config
        tracing = tracing or Untraced()
        self.search = search
        self.store = store
        self.turns = Turns()
        shared = config.mongodb_uri is not None
        self.lazy_fields = LazyFields(store, self._stored_is_ahead, self.turns, shared=shared)
        self.figures = FiguresReader(store.events, self._give_figures)
        self.feed = Feed(store.events, self._find, self.turns)
        self.replays = Replays(store.events)
        self.peers = None if config.mongodb_uri is None else Peers(clock)
        announcer = None if self.peers is None else self.peers.announcer
        self.context = Context(
            store=store,
            clock=clock,
            limits=config.limits,
            ping_interval=config.ping_interval,
            end_grace=config.end_grace,
            abandon_after=config.abandon_after,
            expire_after=config.expire_after,
            max_session_events=config.max_session_events,
            shared_database=config.mongodb_uri is not None,
            waiting=WaitingBytes(config.waiting_bytes),
            figures=config.figures == "on",
            observer=GatewayObserver(
                self.lazy_fields,
                self.feed,
                metrics,
                self.figures,
                self.replays,
                search=None if search is None else search.gathering,
                announcer=announcer,
                enders=enders,
                forget=self._forget,
                call_ended=tracing.call_ended,
            ),
            task_context=tracing.task_context,
        )
        self.sessions = LiveSessions(
            self.context,
            most=config.max_live_sessions,
            most_bytes=config.max_live_bytes,
            rest_timeout=config.rest_timeout,
        )
        self.requests = Requests(self.context, self.sessions, rest_timeout=config.rest_timeout)
        self.pages = Pages(self.context, self.sessions, search, self.turns)
        self.feed.quiet_ms = self.pages.quiet_ms
        self._tending = Tending(
            self.context,
            self.sessions,
            self.turns,
            idle_evict=config.idle_evict,
            storage_timeout=config.storage_timeout,
        )
        self._sweep = Sweep(self.context, self.sessions, self.turns)
        self.erasing = Erasing(self.context, self.sessions, self._forget_texts, rest_timeout=config.rest_timeout)
        if self.peers is not None:
            self.peers.join(
                store,
                self.sessions,
                self.feed,
                bus,
                poll_interval=config.poll_interval,
                erased=self._erased_elsewhere,
            )
        if search is not None and self.peers is None:  # other gateways' changes are found by their times
            store.sessions.around = search.around
        store.sessions.indexes.changes = search is not None and self.peers is not None
        store.sessions.indexes.metadata_keys = tuple(filter(None, config.metadata_indexes.split(",")))
        store.events.on_commit = tracing.committed(metrics.committed)

    def _forget(self, state: SessionState) -> None:
        self.sessions.remove(state)

    def _stored_is_ahead(self, session_id: str) -> None:
        self.sessions.renew(session_id)

    async def _forget_texts(self, session_id: str) -> None:
        if self.search is not None:
            await self.search.forget(session_id)

    def _erased_elsewhere(self, session_id: str) -> None:
        """Handle the erasure of a session by another gateway."""
        self.sessions.renew(session_id)
        self.feed.erased(session_id)
        if self.search is not None:
            self.search.gathering.erased(session_id)

    def _give_figures(self, state: SessionState, item: FiguresItem) -> None:
        live = self.sessions.live.get(state.session_id)
        if live is not None and live.state is state:
            live.submit(item)
        elif not state.erased:  # evicted meanwhile: no task changes its record any more
            state.keep_figures(item.figures)
            self.lazy_fields.mark(state)

    def _find(self, session_id: str) -> SessionState | None:
        live = self.sessions.live.get(session_id)
        return None if live is None else live.state

    def start(self, periodic: Periodic) -> None:
        """Start the background work on sessions."""
        config = self._config
        shared = self.context.shared_database
        periodic.begin(recover(self.store, self.sessions, self._sweep))
        periodic.begin(self.erasing.run(self.sessions.prepared))
        periodic.begin(self.figures.run())
        if self.search is not None:
            periodic.begin(self.search.run(self.sessions.prepared))
            periodic.every(FLUSH_SECONDS, self.search.flush)
        periodic.every(config.feed_interval, self.feed.tick)
        # Other gateways must see a heartbeat well before they would abandon the session.
        flush_interval = min(config.flush_interval, config.abandon_after / 8) if shared else config.flush_interval
        periodic.every(flush_interval, self.lazy_fields.flush_needed)
        soonest = min(config.abandon_after, config.idle_evict, config.storage_timeout)
        periodic.every(tick(soonest / 8), self._tending.tend)
        periodic.every(tick(config.abandon_after / 8), self._sweep.tend)
        periodic.every(
            min(_SWEEP_SECONDS, config.abandon_after / 4) if shared else _SWEEP_ALONE_SECONDS, self._sweep.look
        )
        if self.peers is not None:
            for task in self.peers.tasks():
                periodic.begin(task)
            periodic.every(config.feed_interval, self.peers.tick)

    async def stop(self) -> None:
        """End all tasks of the sessions. Items that still wait fail with StorageUnavailable."""
        if self.peers is not None:
            await self.peers.stop()
        await self.erasing.stop()
        await self.replays.stop()
        await self.sessions.stop()
