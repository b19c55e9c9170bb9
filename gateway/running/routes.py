"""The table of all routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from turnwire.gateway.rest.access import AccessRoutes
from turnwire.gateway.rest.events import EventRoutes
from turnwire.gateway.rest.health import HealthRoutes
from turnwire.gateway.rest.metrics import MetricsRoute
from turnwire.gateway.rest.sessions import SessionRoutes
from turnwire.gateway.rest.stats import StatsRoute
from turnwire.gateway.sockets.publisher import PublisherEndpoint
from turnwire.gateway.sockets.subscriber import SubscriberEndpoint

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ID = "{session_id:[^/]*}"


def add_session_routes(app: web.Application, sessions: SessionRoutes, events: EventRoutes, stats: StatsRoute) -> None:
    of_events = app.router.add_resource(f"/sessions/{_ID}/events")  # first, as the router tries them in turn
    of_events.add_route(hdrs.METH_POST, events.append_events)
    _add_get(of_events, events.read_events)
    of_all = app.router.add_resource("/sessions")
    of_all.add_route(hdrs.METH_POST, sessions.create_session)
    _add_get(of_all, sessions.list_sessions)
    _add_get(app.router.add_resource(f"/sessions/{_ID}"), sessions.read_session)
    _add_get(app.router.add_resource(f"/sessions/{_ID}/stats"), stats.read_stats)
    app.router.add_post(f"/sessions/{_ID}/complete", sessions.complete_session)


def add_access_routes(app: web.Application, access: AccessRoutes) -> None:
    app.router.add_post("/tokens", access.mint_token)
    app.router.add_post("/revocations", access.revoke)


def add_service_routes(app: web.Application, health: HealthRoutes, metrics: MetricsRoute) -> None:
    app.router.add_get("/health", health.read_health)
    app.router.add_get("/health/live", health.read_liveness)
    app.router.add_get("/health/ready", health.read_readiness)
    app.router.add_get("/metrics", metrics.read_metrics)


def add_socket_routes(app: web.Application, publisher: PublisherEndpoint, subscriber: SubscriberEndpoint) -> None:
    app.router.add_get(f"/sessions/{_ID}/publish", publisher.publish)
    app.router.add_get("/subscribe", subscriber.subscribe)


def _add_get(resource: web.Resource, handler: Handler) -> None:
    resource.add_route(hdrs.METH_HEAD, handler)
    resource.add_route(hdrs.METH_GET, handler)
