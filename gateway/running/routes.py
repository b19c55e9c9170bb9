"""The HTTP routes other than the WebSockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from turnwire.gateway.openapi.document import add_openapi_route
from turnwire.gateway.pages.dashboard import add_dashboard
from turnwire.gateway.pages.docs_page import add_docs_page
from turnwire.gateway.rest.events import append_events, read_events
from turnwire.gateway.rest.health import add_health_routes
from turnwire.gateway.rest.sessions import complete_session, create_session, list_sessions, read_session
from turnwire.gateway.rest.stats import read_stats
from turnwire.gateway.telemetry.metrics import add_metrics_route

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ID = "{session_id:[^/]*}"


def add_rest_routes(app: web.Application) -> None:
    """All routes of the REST side, with health, metrics, API document and pages. Needs CONFIG and METRICS."""
    events = app.router.add_resource(f"/sessions/{_ID}/events")  # first, as the router tries them in turn
    events.add_route("POST", append_events)
    _add_get(events, read_events)
    sessions = app.router.add_resource("/sessions")
    sessions.add_route("POST", create_session)
    _add_get(sessions, list_sessions)
    _add_get(app.router.add_resource(f"/sessions/{_ID}"), read_session)
    _add_get(app.router.add_resource(f"/sessions/{_ID}/stats"), read_stats)
    app.router.add_resource(f"/sessions/{_ID}/complete").add_route("POST", complete_session)
    add_health_routes(app)
    add_metrics_route(app)
    add_openapi_route(app)
    add_docs_page(app)
    add_dashboard(app)


def _add_get(resource: web.Resource, handler: Handler) -> None:
    resource.add_route(hdrs.METH_HEAD, handler)
    resource.add_route(hdrs.METH_GET, handler)
