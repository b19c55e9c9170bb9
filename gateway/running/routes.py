"""The table of all routes."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable
from functools import wraps

from aiohttp import hdrs, web

from turnwire.gateway.durable_streams.reading import StreamReading
from turnwire.gateway.durable_streams.writing import StreamWriting
from turnwire.gateway.http.query import METADATA, SESSION_ID, STREAM_PREFIXES, refuse_unknown
from turnwire.gateway.rest.access import AccessRoutes
from turnwire.gateway.rest.backup import BackupRoute
from turnwire.gateway.rest.commands import CommandRoutes
from turnwire.gateway.rest.events import EventRoutes
from turnwire.gateway.rest.health import HealthRoutes
from turnwire.gateway.rest.imports import ImportRoute
from turnwire.gateway.rest.listing import ListingRoutes
from turnwire.gateway.rest.metrics import MetricsRoute
from turnwire.gateway.rest.sessions import SessionRoutes
from turnwire.gateway.rest.stats import StatsRoute
from turnwire.gateway.rest.webhooks import WebhookRoutes
from turnwire.gateway.sockets.publisher import PublisherEndpoint
from turnwire.gateway.sockets.subscriber import SubscriberEndpoint

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ID = "{session_id:[^/]*}"


_FILTERS = (
    *("status", "language", "startedAfter", "startedBefore", "limit", "cursor", "order", "countUpTo"),
    *("endReason", "idPrefix", "minDurationMs", "maxDurationMs", "hasErrors", "toolsFailed"),
    *("minResponseP95Ms", "minInterruptions", "q", METADATA),
)
_PAGE = ("page", "offset", "limit", "order")
_SUMS = ("startedAfter", "startedBefore", "groupBy")


def taking(handler: Handler, *known: str) -> Handler:
    """Return the handler, wrapped so that it refuses requests with parameters other than these.

    The wrapper adds no coroutine of its own, which would be kept for as long as a socket is open.
    """

    @wraps(handler)
    def checked(request: web.Request) -> Awaitable[web.StreamResponse]:
        if request.query_string:
            refuse_unknown(request, known)
        return handler(request)

    return _as_coroutine_function(checked)


def _as_coroutine_function(handler: Handler) -> Handler:
    """Return a plain function, marked so that aiohttp takes it as a handler without a wrapper."""
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(handler)
    handler._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]  # what 3.11 looks for
    return handler


def add_session_routes(
    app: web.Application,
    sessions: SessionRoutes,
    listing: ListingRoutes,
    events: EventRoutes,
    stats: StatsRoute,
) -> None:
    of_events = app.router.add_resource(f"/sessions/{_ID}/events")  # first, because the router tries resources in order
    of_events.add_route(hdrs.METH_POST, taking(events.append_events, SESSION_ID))
    _add_get(of_events, taking(events.read_events, SESSION_ID, "afterSeq", "limit"))
    of_all = app.router.add_resource("/sessions")
    of_all.add_route(hdrs.METH_POST, taking(sessions.create_session))
    _add_get(of_all, taking(listing.list_sessions, *_FILTERS))
    of_one = app.router.add_resource(f"/sessions/{_ID}")
    of_one.add_route(hdrs.METH_DELETE, taking(sessions.erase_session, SESSION_ID, "force"))
    of_one.add_route(hdrs.METH_PATCH, taking(sessions.amend_session, SESSION_ID))
    _add_get(of_one, taking(sessions.read_session, SESSION_ID, *_PAGE))
    _add_get(app.router.add_resource(f"/sessions/{_ID}/stats"), taking(stats.read_stats, SESSION_ID))
    app.router.add_post(f"/sessions/{_ID}/complete", taking(sessions.complete_session, SESSION_ID))
    _add_get(app.router.add_resource("/stats"), taking(listing.read_sums, *_SUMS))


def add_stream_routes(app: web.Application, reading: StreamReading, writing: StreamWriting) -> None:
    """Add the routes of streams. Unknown parameters are ignored, as the protocol demands."""
    for prefix in STREAM_PREFIXES:
        stream = app.router.add_resource(prefix + "{session_id:.*}")
        stream.add_route(hdrs.METH_HEAD, reading.head)
        stream.add_route(hdrs.METH_GET, reading.read)
        stream.add_route(hdrs.METH_PUT, writing.create)
        stream.add_route(hdrs.METH_POST, writing.append)
        stream.add_route(hdrs.METH_DELETE, writing.remove)


def add_command_routes(app: web.Application, commands: CommandRoutes) -> None:
    app.router.add_post(f"/sessions/{_ID}/commands", taking(commands.command, SESSION_ID))


def add_import_routes(app: web.Application, imports: ImportRoute) -> None:
    app.router.add_post("/import", taking(imports.import_sessions, "keepOpen", "verify", "restore"))


def add_backup_routes(app: web.Application, backup: BackupRoute) -> None:
    _add_get(app.router.add_resource("/backup"), taking(backup.read_backup, "cursor"))


def add_webhook_routes(app: web.Application, webhooks: WebhookRoutes) -> None:
    of_all = app.router.add_resource("/webhooks")
    of_all.add_route(hdrs.METH_POST, taking(webhooks.add))
    _add_get(of_all, taking(webhooks.list))
    of_one = app.router.add_resource("/webhooks/{webhookId}")
    of_one.add_route(hdrs.METH_PATCH, taking(webhooks.amend))
    of_one.add_route(hdrs.METH_DELETE, taking(webhooks.remove))
    _add_get(of_one, taking(webhooks.read))
    app.router.add_post("/webhooks/{webhookId}/rotate", taking(webhooks.rotate))
    app.router.add_post("/webhooks/{webhookId}/test", taking(webhooks.test))
    app.router.add_post("/webhooks/{webhookId}/replay", taking(webhooks.replay))


def add_access_routes(app: web.Application, access: AccessRoutes) -> None:
    app.router.add_post("/tokens", taking(access.mint_token))
    app.router.add_post("/revocations", taking(access.revoke))


def add_service_routes(app: web.Application, health: HealthRoutes, metrics: MetricsRoute) -> None:
    app.router.add_get("/health", taking(health.read_health))
    app.router.add_get("/health/live", taking(health.read_liveness))
    app.router.add_get("/health/ready", taking(health.read_readiness))
    app.router.add_get("/metrics", taking(metrics.read_metrics))
    app.router.add_get("/metrics/recent", taking(metrics.read_recent, "afterMs"))


def add_socket_routes(app: web.Application, publisher: PublisherEndpoint, subscriber: SubscriberEndpoint) -> None:
    app.router.add_get(f"/sessions/{_ID}/publish", taking(publisher.publish, SESSION_ID, "language"))
    app.router.add_get("/subscribe", taking(subscriber.subscribe))


def _add_get(resource: web.Resource, handler: Handler) -> None:
    resource.add_route(hdrs.METH_HEAD, handler)
    resource.add_route(hdrs.METH_GET, handler)
