"""Prometheus metrics of HTTP requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import prometheus_client
from aiohttp import web
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from turnwire.gateway.aiohttp_private import was_routed
from turnwire.gateway.telemetry.histogram import Histogram

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_GONE = 499
"""Status of a request whose client left before it was answered; nginx uses it, too."""
_UPGRADE = 101
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


class _Answers:
    """The answers to the requests of one method to one route."""

    __slots__ = ("by_status", "seconds")

    def __init__(self) -> None:
        self.by_status: Counter[int] = Counter()
        self.seconds = Histogram(_BOUNDS)


class HttpMetrics(Collector):
    """Counts and times HTTP requests by method, route and status. Belongs to the event loop."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self._answers: dict[tuple[str, str], _Answers] = {}
        self._of_resources: dict[tuple[str, web.AbstractResource | None], _Answers] = {}
        """The same, by the resources that requests matched: their templates take longer to find."""
        registry.register(self)

    def answered(self, request: web.Request, response: web.StreamResponse | None, seconds: float) -> None:
        """Count a request that was answered after this many seconds. `response`: None if the client left before."""
        resource = request.match_info.route.resource if was_routed(request) else None
        answers = self._of_resources.get((request.method, resource)) or self._answers_of(request.method, resource)
        answers.by_status[_GONE if response is None else response.status] += 1
        if response is not None and not is_long_lived(response):
            answers.seconds.observe(seconds)

    def _answers_of(self, method: str, resource: web.AbstractResource | None) -> _Answers:
        """Return the answers to requests of one method that matched this resource, or none."""
        if method not in METHODS:
            method = "OTHER"
        route = template_of(resource)
        answers = self._answers.get((method, route))
        if answers is None:
            answers = self._answers[method, route] = _Answers()
        if method != "OTHER":  # a client may think of any number of methods
            self._of_resources[method, resource] = answers
        return answers

    def collect(self) -> Iterator[Metric]:
        counts = CounterMetricFamily(
            "turnwire_http_requests", "HTTP requests answered.", labels=["method", "route", "status"]
        )
        times = HistogramMetricFamily(
            "turnwire_http_request_seconds",
            "Seconds from an HTTP request to its answer; WebSockets and event streams are left out.",
            labels=["method", "route"],
        )
        for route, answers in self._answers.items():
            for status, count in answers.by_status.items():
                counts.add_metric([*route, str(status)], count)
            if any(answers.seconds.counts):
                answers.seconds.expose(times, route)
        yield counts
        yield times


def template_of(resource: web.AbstractResource | None) -> str:
    """Return the route that a request matched, such as `/sessions/{session_id}`."""
    return "unmatched" if resource is None else resource.canonical


def is_long_lived(response: web.StreamResponse) -> bool:
    """Return whether the response was a WebSocket or an event stream."""
    return not isinstance(response, web.Response) and (
        response.status == _UPGRADE or response.content_type == "text/event-stream"
    )
