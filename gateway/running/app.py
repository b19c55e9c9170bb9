"""The wiring of a gateway."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

from aiohttp import web

from turnwire.gateway.access.access import build_access
from turnwire.gateway.access.arrivals import Arrivals
from turnwire.gateway.access.asking import asked_of
from turnwire.gateway.access.guard import Guard, client_of
from turnwire.gateway.access.session_quotas import SessionQuotas
from turnwire.gateway.config import Config
from turnwire.gateway.connections.large_answers import LargeAnswers
from turnwire.gateway.connections.liveness import Liveness
from turnwire.gateway.connections.open_connections import OpenConnections
from turnwire.gateway.connections.serving import Serving
from turnwire.gateway.finding.listing import Listing
from turnwire.gateway.finding.search import Search
from turnwire.gateway.finding.summing import Summing
from turnwire.gateway.http.answers import Heads
from turnwire.gateway.http.body import BodyReader
from turnwire.gateway.http.headers import add_headers, common_headers, is_private
from turnwire.gateway.http.query import encode_cursor
from turnwire.gateway.http.server import HttpRunner
from turnwire.gateway.importing.importer import Importer
from turnwire.gateway.keeping.backup_lines import BackupLines
from turnwire.gateway.pages.dashboard import add_dashboard
from turnwire.gateway.pages.documents import add_documents
from turnwire.gateway.rest.access import AccessRoutes
from turnwire.gateway.rest.backup import BackupRoute
from turnwire.gateway.rest.commands import CommandRoutes
from turnwire.gateway.rest.creating import Creating
from turnwire.gateway.rest.events import EventRoutes
from turnwire.gateway.rest.health import HealthRoutes
from turnwire.gateway.rest.imports import ImportRoute
from turnwire.gateway.rest.listing import ListingRoutes
from turnwire.gateway.rest.metrics import MetricsRoute, Siblings
from turnwire.gateway.rest.sessions import SessionRoutes
from turnwire.gateway.rest.sse import SseRoute
from turnwire.gateway.rest.stats import StatsRoute
from turnwire.gateway.rest.streams import Streams
from turnwire.gateway.rest.webhooks import WebhookRoutes
from turnwire.gateway.running import drain
from turnwire.gateway.running.in_use import InUse
from turnwire.gateway.running.keeping import KeepingParts
from turnwire.gateway.running.periodic import Periodic, tick
from turnwire.gateway.running.rights import RightsWatch
from turnwire.gateway.running.routes import (
    add_access_routes,
    add_backup_routes,
    add_command_routes,
    add_import_routes,
    add_service_routes,
    add_session_routes,
    add_socket_routes,
    add_webhook_routes,
)
from turnwire.gateway.running.sessions import SessionParts, bus_of
from turnwire.gateway.running.streams import add_streams
from turnwire.gateway.running.telling import TellingParts
from turnwire.gateway.sessions.log_tails import LogTails
from turnwire.gateway.sockets.publisher import PublisherEndpoint
from turnwire.gateway.sockets.subscriber import SubscriberEndpoint
from turnwire.gateway.sockets.subscriber_connection import SubscriberParts
from turnwire.gateway.telemetry.loop_stall import LoopStall
from turnwire.gateway.telemetry.metrics import Gauge, Metrics
from turnwire.gateway.telemetry.recent import Recent
from turnwire.gateway.tracing.switch import tracing_of
from turnwire.gateway.watching.subscription import Watching
from turnwire.store.mongo import Store
from turnwire.store.probe import StorageProbe
from turnwire.store.search.tables import FILE_NAME

_access_log = logging.getLogger("aiohttp.access")
_SHUTDOWN_SECONDS = 1.0
"""Seconds that handlers have to end by themselves after the drain."""


class Gateway:
    """One gateway on a store. Belongs to the event loop in which it is made."""

    def __init__(self, config: Config, store: Store, siblings: Siblings | None = None) -> None:
        """`siblings`: the other workers on the same port, whose metrics are added to those of this gateway.

        Raises ConfigError for access settings that the gateway must not start with.
        """
        clock = asyncio.get_running_loop().time
        self.config = config
        self.metrics = Metrics()
        self._siblings = siblings
        self.access = build_access(config, store.revocations)
        self.search = self._make_search(store)
        self.tracing = tracing_of(config, store.events)
        self.parts = SessionParts(
            config,
            store,
            self.metrics,
            clock,
            bus=bus_of(config),
            search=self.search,
            enders=self.access.enders,
            tracing=self.tracing,
        )
        self.telling = TellingParts(config, self.parts, clock)
        self.arrivals = Arrivals(config, self.access.rates, required=self.access.mode.required)
        self.connections = OpenConnections()
        self._keeping = KeepingParts(config, self.parts, self.access.audit)
        self._rights = RightsWatch(self.access, self.connections)
        self._quotas = self._make_quotas()
        received = self.metrics.received
        self._serving = Serving(config, config.limits, self.connections, clock, received, self.parts.turns)
        self._watching = self._make_watching(clock)
        self.probe = StorageProbe(store.state)
        self.recent = Recent(self.metrics, lambda: store.seems_up)
        self._periodic = Periodic()
        pause = tick(min(config.ping_interval, config.pong_timeout) / 4)
        self._alive_tick = pause
        turns, most_bytes = self.parts.turns, config.max_all_outbox_bytes
        self._liveness = Liveness(self.connections, clock, turns, pause, most_bytes=most_bytes)
        self.metrics.gauges = self._gauges
        self.metrics.counts = self._counts
        in_use = InUse(config, self.parts, self.connections, self.arrivals)
        self.metrics.connections, self.metrics.bounds_used = in_use.connections, in_use.bounds
        self._loop_stall = LoopStall(self.metrics.registry, clock)
        self.app = self._make_app()

    def _make_quotas(self) -> SessionQuotas:
        sessions, exists = self.parts.sessions, self.parts.requests.exists
        quotas = SessionQuotas(
            self.access.rates, self.access.audit, is_live=lambda each: each in sessions.live, exists=exists
        )
        sessions.left = quotas.left
        return quotas

    def _make_watching(self, clock: Callable[[], float]) -> Watching:
        replays, fell_behind, peers = self.parts.replays, self.metrics.fell_behind, self.parts.peers
        return (
            Watching(replays, clock, fell_behind)
            if peers is None
            else Watching(replays, clock, fell_behind, peers.watch_changed)
        )

    def _make_search(self, store: Store) -> Search | None:
        config = self.config
        shared = config.mongodb_uri is not None
        if config.search == "off" or (config.search == "auto" and shared):
            return None
        settling = config.end_grace + config.flush_interval
        return Search(store, config.data_dir / FILE_NAME, shared=shared, settling=settling)

    def _make_app(self) -> web.Application:
        config, parts, log = self.config, self.parts, self.parts.store.events
        limits, sessions, requests = config.limits, parts.sessions, parts.requests
        slow_timeout = config.slow_pong_timeout
        app = web.Application(client_max_size=config.max_frame_bytes)
        app.cleanup_ctx.append(self._run)
        bodies = BodyReader(limits, config.header_timeout, parts.turns, client_of)
        access, creating = self.access, Creating(self._quotas, requests)
        streams = Streams(self.connections, access, most=config.max_streams, most_each=config.max_streams_per_principal)
        sse = SseRoute(self._serving, streams, requests, self._watching)
        add_session_routes(
            app,
            self._make_session_routes(bodies, creating),
            self._make_listing_routes(),
            EventRoutes(
                limits, bodies, requests, log, sse, streams=streams, turns=parts.turns, slow_timeout=slow_timeout
            ),
            StatsRoute(limits, sessions, requests, log),
        )
        add_command_routes(app, CommandRoutes(limits, bodies, requests))
        importer = Importer(parts.context, sessions, requests, parts.turns)
        add_import_routes(app, ImportRoute(limits, importer, streams, access.audit, slow_timeout=slow_timeout))
        add_webhook_routes(app, WebhookRoutes(self.telling.registry, bodies, limits, access.audit))
        backup = BackupLines(parts.pages, requests, parts.store, lambda place: encode_cursor(*place))
        add_backup_routes(app, BackupRoute(limits, backup, streams, slow_timeout=slow_timeout))
        add_streams(app, config, parts, access=access, bodies=bodies, creating=creating, sse=sse)
        health = HealthRoutes(self.probe, self.connections, self._bus_state)
        add_service_routes(app, health, MetricsRoute(self.metrics, self.recent, self.probe, self._siblings))
        add_access_routes(app, AccessRoutes(access, bodies))
        add_documents(app, limits)
        add_dashboard(app, access.mode.warning)
        subscriber = SubscriberParts(requests, parts.pages, parts.feed, self._watching)
        publisher = PublisherEndpoint(self._serving, sessions, parts.context.waiting, access, self._quotas)
        add_socket_routes(app, publisher, SubscriberEndpoint(self._serving, subscriber, access))
        add_headers(app, config)
        return app

    def _make_listing_routes(self) -> ListingRoutes:
        config, parts = self.config, self.parts
        listing = Listing(parts.pages, parts.store, self.search, longest_wait=config.rest_timeout)
        return ListingRoutes(config.limits, listing, Summing(parts.store, self.search))

    def _make_session_routes(self, bodies: BodyReader, creating: Creating) -> SessionRoutes:
        parts, access = self.parts, self.access
        return SessionRoutes(
            self.config.limits,
            bodies,
            parts.requests,
            parts.store.events,
            parts.erasing,
            creating=creating,
            enders=access.enders,
            audit=access.audit,
            turns=parts.turns,
        )

    def make_runner(self) -> web.AppRunner:
        """Return the runner that serves the app. Requests are logged at level debug only; the metrics count them."""
        config, guard, turns = self.config, Guard(self.access.door, self.arrivals), self.parts.turns
        return HttpRunner(
            self.app,
            guard=self.tracing.guarded(guard),
            answered=self.tracing.answered(self.metrics.http.answered),
            header_timeout=config.header_timeout,
            retry_after=config.reconnect_after,
            max_id_chars=config.max_id_chars,
            arrivals=self.arrivals,
            make_ready=Heads(common_headers(config), is_private).make_ready,
            send_large=LargeAnswers(self.connections, guard.audit_limit, patience=config.slow_pong_timeout).sending,
            begin=partial(turns.begin, lambda request: self.access.door.waits_as(asked_of(request))),
            parsing=turns.parsing,
            shutdown_timeout=_SHUTDOWN_SECONDS,
            access_log=_access_log if config.log_level == "debug" else None,
        )

    async def _run(self, _app: web.Application) -> AsyncIterator[None]:
        self.parts.start(self._periodic)
        self.telling.start(self._periodic)
        self._periodic.begin(self._loop_stall.watch())
        self._periodic.begin(self.recent.watch())
        self._periodic.begin(self.tracing.run())
        self._periodic.every(self._alive_tick, self._liveness.keep_alive)
        self._keeping.start(self._periodic)
        await self._rights.start(self._periodic)
        yield
        await self._stop()
        await self.tracing.close()
        await self.probe.close()

    async def reload(self) -> None:
        """Read the key files again, as on SIGHUP."""
        await self._rights.reload()

    async def leave(self) -> None:
        """Report that the gateway is not ready, and keep serving for `drain_delay`, so that load balancers notice."""
        self.connections.leaving = True
        await asyncio.sleep(self.config.drain_delay)

    async def drain(self) -> None:
        """Close all connections gracefully, as on SIGTERM."""
        parts = self.parts
        others = parts.peers is not None and bool(parts.peers.names)
        back = drain.Return(0.0 if others else self.config.reconnect_after, self.config.drain_spread)
        await drain.drain(
            self.connections,
            parts.sessions,
            parts.lazy_fields,
            LogTails(parts.store, parts.sessions),
            seconds=self.config.drain_timeout,
            back=back,
        )
        await self._stop()

    async def _stop(self) -> None:
        """End all tasks. Requests that are still open are not answered."""
        await self._periodic.stop()
        await self.telling.stop()
        await self.parts.stop()
        self._keeping.close()
        if self.search is not None:
            await self.search.close()

    def _bus_state(self) -> bool | None:
        peers = self.parts.peers
        return None if peers is None or peers.exchange is None else peers.exchange.up

    def _counts(self) -> Iterator[Gauge]:
        yield from self.telling.counts()
        yield from self.tracing.counts()
        yield from self._keeping.counts()
        peers = self.parts.peers
        if peers is not None and peers.exchange is not None:
            yield "bus_messages_sent", "Messages sent to other gateways.", peers.exchange.sent
            yield "bus_messages_received", "Messages received from other gateways.", peers.exchange.received
            yield "bus_messages_dropped", "Messages to other gateways that were dropped.", peers.dropped

    def _gauges(self) -> Iterator[Gauge]:
        yield "publishers", "Connected publishers.", self.connections.count("publisher")
        yield "subscribers", "Connected subscribers.", self.connections.count("subscriber")
        yield "live_sessions", "Sessions held in memory.", len(self.parts.sessions.live)
        yield "outbox_bytes", "Bytes that wait for readers of WebSockets and streams.", self.connections.bytes_seen
        yield from self.telling.gauges()
        if (up := self._bus_state()) is not None:
            yield "bus_up", "Whether the gateways reach each other over Redis.", int(up)
        yield "draining", "Whether the gateway is draining.", int(self.connections.draining)
