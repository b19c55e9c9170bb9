"""Prometheus metrics of HTTP requests."""

from __future__ import annotations

import prometheus_client
from aiohttp import web

from turnwire.gateway.aiohttp_private import was_routed

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_GONE = 499
"""Status of a request whose client left before it was answered; nginx uses it, too."""
_UPGRADE = 101


class HttpMetrics:
    """Counts and times HTTP requests by method, route and status."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self._requests = prometheus_client.Counter(
            "turnwire_http_requests", "HTTP requests answered.", ["method", "route", "status"], registry=registry
        )
        self._request_seconds = prometheus_client.Histogram(
            "turnwire_http_request_seconds",
            "Seconds from an HTTP request to its answer; WebSockets and event streams are left out.",
            ["method", "route"],
            registry=registry,
        )
        # Series are kept here by their labels: the package takes longer to look one up than to count.
        self._counters: dict[tuple[str, web.AbstractResource | None, int], prometheus_client.Counter] = {}
        self._timers: dict[tuple[str, web.AbstractResource | None], prometheus_client.Histogram] = {}

    def answered(self, request: web.Request, response: web.StreamResponse | None, seconds: float) -> None:
        """Count a request that was answered in so many seconds. `response`: None if the client left before."""
        resource = request.match_info.route.resource if was_routed(request) else None
        method = request.method if request.method in _METHODS else "OTHER"
        status = _GONE if response is None else response.status
        counter = self._counters.get((method, resource, status))
        if counter is None:
            counter = self._requests.labels(method, template_of(resource), str(status))
            self._counters[method, resource, status] = counter
        counter.inc()
        if response is None or is_long_lived(response):
            return
        timer = self._timers.get((method, resource))
        if timer is None:
            timer = self._request_seconds.labels(method, template_of(resource))
            self._timers[method, resource] = timer
        timer.observe(seconds)


def template_of(resource: web.AbstractResource | None) -> str:
    """Return the route that a request matched, such as `/sessions/{session_id}`."""
    return "unmatched" if resource is None else resource.canonical


def is_long_lived(response: web.StreamResponse) -> bool:
    """Return whether the response was a WebSocket or an event stream."""
    return not isinstance(response, web.Response) and (
        response.status == _UPGRADE or response.content_type == "text/event-stream"
    )
