"""The wiring of a gateway, and nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

from aiohttp import web

from turnwire.gateway.access.access import build_access
from turnwire.gateway.access.creations import Creations
from turnwire.gateway.access.guard import Guard
from turnwire.gateway.config import Config
from turnwire.gateway.connections.connection import Serving
from turnwire.gateway.connections.liveness import Liveness
from turnwire.gateway.connections.open_connections import OpenConnections
from turnwire.gateway.http.body import BodyReader
from turnwire.gateway.http.headers import add_headers
from turnwire.gateway.http.server import HttpRunner
from turnwire.gateway.pages.dashboard import add_dashboard
from turnwire.gateway.pages.docs_page import add_docs_pages
from turnwire.gateway.rest.access import AccessRoutes
from turnwire.gateway.rest.events import EventRoutes
from turnwire.gateway.rest.health import HealthRoutes
from turnwire.gateway.rest.metrics import MetricsRoute
from turnwire.gateway.rest.sessions import SessionRoutes
from turnwire.gateway.rest.sse import SseRoute
from turnwire.gateway.rest.stats import StatsRoute
from turnwire.gateway.rest.streams import Streams
from turnwire.gateway.running import drain
from turnwire.gateway.running.periodic import Periodic, tick
from turnwire.gateway.running.rights import RightsWatch
from turnwire.gateway.running.routes import (
    add_access_routes,
    add_service_routes,
    add_session_routes,
    add_socket_routes,
)
from turnwire.gateway.running.sessions import SessionParts
from turnwire.gateway.sockets.publisher import PublisherEndpoint
from turnwire.gateway.sockets.subscriber import SubscriberEndpoint, SubscriberParts
from turnwire.gateway.telemetry.metrics import Gauge, Metrics
from turnwire.gateway.watching.subscription import Watching
from turnwire.store.mongo import Store
from turnwire.store.probe import StorageProbe

_access_log = logging.getLogger("aiohttp.access")
_FORGET_SECONDS = 60.0
_SHUTDOWN_SECONDS = 1.0
"""What handlers get to end by themselves after the drain."""


class Gateway:
    """One gateway on a store. Belongs to the event loop it is made in; `running` holds its own tasks."""

    def __init__(self, config: Config, store: Store) -> None:
        """Raises ConfigError for settings of access that it must not start with."""
        clock = asyncio.get_running_loop().time
        self.config = config
        self.metrics = Metrics()
        self.access = build_access(config, store.revocations)
        self.parts = SessionParts(config, store, self.metrics, clock, self.access.enders)
        self.connections = OpenConnections(config.max_connections)
        self._rights = RightsWatch(self.access, self.connections)
        sessions = self.parts.sessions
        self._creations = Creations(
            self.access.rates,
            self.access.audit,
            is_live=lambda session_id: session_id in sessions.live,
            exists=self.parts.requests.exists,
        )
        self._serving = Serving(config, self.connections, clock, self.metrics.frame_received)
        self._watching = Watching(store.events, clock, self.metrics.fell_behind)
        self.probe = StorageProbe(store.ping)
        self._periodic = Periodic()
        pause = tick(min(config.ping_interval, config.pong_timeout) / 4)
        self._alive_tick = pause
        self._liveness = Liveness(self.connections, clock, pause)
        self.metrics.gauges = self._gauges
        self.app = self._make_app()

    def _make_app(self) -> web.Application:
        config, parts, log = self.config, self.parts, self.parts.store.events
        limits, sessions, requests = config.limits, parts.sessions, parts.requests
        app = web.Application(client_max_size=config.max_frame_bytes)
        app.cleanup_ctx.append(self._run)
        bodies = BodyReader(limits, config.header_timeout)
        access = self.access
        streams = Streams(self.connections, access, most=config.max_streams, most_each=config.max_streams_per_principal)
        sse = SseRoute(self._serving, streams, sessions, requests, self._watching)
        add_session_routes(
            app,
            SessionRoutes(limits, bodies, requests, log, creations=self._creations, enders=access.enders),
            EventRoutes(limits, bodies, requests, log, sse, streams=streams, slow_timeout=config.slow_pong_timeout),
            StatsRoute(limits, sessions, requests, log),
        )
        add_service_routes(app, HealthRoutes(self.probe, self.connections), MetricsRoute(self.metrics, self.probe))
        add_access_routes(app, AccessRoutes(access, bodies))
        add_docs_pages(app, limits)
        add_dashboard(app)
        subscriber = SubscriberParts(sessions, requests, parts.feed, self._watching)
        publisher = PublisherEndpoint(self._serving, sessions, parts.context.waiting, access, self._creations)
        add_socket_routes(app, publisher, SubscriberEndpoint(self._serving, subscriber, access))
        add_headers(app, config)
        return app

    def make_runner(self) -> web.AppRunner:
        """What serves the app. Each request is logged at level debug only; the metrics count them."""
        config = self.config
        return HttpRunner(
            self.app,
            guard=Guard(self.access.door),
            answered=self.metrics.answered,
            header_timeout=config.header_timeout,
            retry_after=config.reconnect_after,
            max_id_chars=config.max_id_chars,
            shutdown_timeout=_SHUTDOWN_SECONDS,
            access_log=_access_log if config.log_level == "debug" else None,
        )

    async def _run(self, _app: web.Application) -> AsyncIterator[None]:
        self.parts.start(self._periodic)
        self._periodic.every(self._alive_tick, self._liveness.keep_alive)
        self._periodic.every(_FORGET_SECONDS, self._creations.forget_evicted)
        await self._rights.start(self._periodic)
        yield
        await self._stop()
        await self.probe.close()

    async def reload(self) -> None:
        """Read the files of keys again, as on SIGHUP."""
        await self._rights.reload()

    async def drain(self) -> None:
        """Let go of all connections, as on SIGTERM."""
        parts = self.parts
        await drain.drain(self.connections, parts.sessions, parts.lazy_fields, self.config.drain_timeout)
        await self._stop()

    async def _stop(self) -> None:
        """End all tasks. What is not settled by now gets no answer."""
        await self._periodic.stop()
        await self.parts.sessions.stop()

    def _gauges(self) -> Iterator[Gauge]:
        live = self.parts.sessions.live
        publishers = sum(each.state.publisher is not None for each in live.values())
        yield "publishers", "Publishers connected.", publishers
        yield "subscribers", "Subscribers connected.", self.connections.count("subscriber")
        yield "live_sessions", "Sessions held in memory.", len(live)
        yield "outbox_bytes", "Bytes waiting for WebSockets.", self.connections.outbox_bytes
        yield "draining", "Whether the gateway is going away.", int(self.connections.draining)
