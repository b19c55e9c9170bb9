"""Prometheus metrics: cheap counting where it is hot, and gauges read when somebody asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import prometheus_client
from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from turnwire.gateway.aiohttp_private import was_routed
from turnwire.protocol.errors import ErrorCode

_STORAGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_COMMIT_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_GONE = 499
"""Status of a request whose client left before it was answered, as nginx has it."""
_UPGRADE = 101

Gauge = tuple[str, str, int]
"""Name without `turnwire_`, what it says, value."""


# Without it there would be a second series for every one. The package has no annotations there.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """What one gateway counts. Belongs to its event loop; the counts of the hot path are plain integers."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        self.gauges: Callable[[], Iterable[Gauge]] = tuple
        """The state of the gateway, asked when somebody reads the metrics."""
        self.counts: Callable[[], Iterable[Gauge]] = tuple
        """What others count, asked in the same way."""
        self.storage_up = True
        self.embedded_restarts: Callable[[], int] = int
        """How often the embedded database has been restarted."""
        self.events_stored = 0
        self.events_duplicate = 0
        self.nacks: Counter[ErrorCode] = Counter()
        self.takeovers = 0
        self.log_rollbacks = 0
        self.subscriber_switches = 0
        self.frames_received = 0
        self._commit_seconds = prometheus_client.Histogram(
            "turnwire_commit_seconds",
            "Seconds a commit of events took.",
            buckets=_STORAGE_SECONDS,
            registry=self.registry,
        )
        self._ack_seconds = prometheus_client.Histogram(
            "turnwire_ack_seconds",
            "Seconds from the receipt of a publisher's events to their ack; of those acked together the longest.",
            buckets=_STORAGE_SECONDS,
            registry=self.registry,
        )
        self._commit_events = prometheus_client.Histogram(
            "turnwire_commit_events", "Events of one commit.", buckets=_COMMIT_EVENTS, registry=self.registry
        )
        self._requests = prometheus_client.Counter(
            "turnwire_http_requests",
            "HTTP requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._request_seconds = prometheus_client.Histogram(
            "turnwire_http_request_seconds",
            "Seconds from an HTTP request to its answer; WebSockets and event streams are left out.",
            ["method", "route"],
            registry=self.registry,
        )
        # The series that there are: looking one up by its labels takes the package longer than counting.
        self._answer_counts: dict[tuple[str, web.AbstractResource | None, int], prometheus_client.Counter] = {}
        self._answer_times: dict[tuple[str, web.AbstractResource | None], prometheus_client.Histogram] = {}
        self.registry.register(_AtScrape(self))
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.GCCollector(registry=self.registry)

    def committed(self, events: int, seconds: float) -> None:
        self.events_stored += events
        self._commit_seconds.observe(seconds)
        self._commit_events.observe(events)

    def acked(self, seconds: float) -> None:
        self._ack_seconds.observe(seconds)

    def duplicates(self, count: int) -> None:
        self.events_duplicate += count

    def nacked(self, code: ErrorCode, count: int) -> None:
        self.nacks[code] += count

    def takeover(self) -> None:
        self.takeovers += 1

    def fell_behind(self) -> None:
        self.subscriber_switches += 1

    def frame_received(self) -> None:
        self.frames_received += 1

    def answered(self, request: web.Request, response: web.StreamResponse | None, seconds: float) -> None:
        """An HTTP request was answered, or its client left before, which has no `response`."""
        resource = request.match_info.route.resource if was_routed(request) else None
        method = request.method if request.method in _METHODS else "OTHER"
        status = _GONE if response is None else response.status
        count = self._answer_counts.get((method, resource, status))
        if count is None:
            count = self._requests.labels(method, _template(resource), str(status))
            self._answer_counts[method, resource, status] = count
        count.inc()
        if response is None or _lives_long(response):
            return
        times = self._answer_times.get((method, resource))
        if times is None:
            times = self._request_seconds.labels(method, _template(resource))
            self._answer_times[method, resource] = times
        times.observe(seconds)


def _template(resource: web.AbstractResource | None) -> str:
    return "unmatched" if resource is None else resource.canonical


def _lives_long(response: web.StreamResponse) -> bool:
    """Whether it was a WebSocket or an event stream."""
    return not isinstance(response, web.Response) and (
        response.status == _UPGRADE or response.content_type == "text/event-stream"
    )


class _AtScrape(Collector):
    """Plain integers and the gateway's state, as metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        metrics = self._metrics
        for name, text, count in (
            ("events_stored", "Events made durable by this gateway.", metrics.events_stored),
            ("events_duplicate", "Events received again and answered as first stored.", metrics.events_duplicate),
            ("takeovers", "Publishers replaced by a newer one of their session.", metrics.takeovers),
            ("log_rollbacks", "Logs that had lost events which were acked.", metrics.log_rollbacks),
            ("subscriber_switches", "Subscriptions that fell behind and went on from the store.",
             metrics.subscriber_switches),
            ("frames_received", "WebSocket frames received.", metrics.frames_received),
            ("embedded_restarts", "Restarts of the embedded database.", metrics.embedded_restarts()),
            *metrics.counts(),
        ):  # fmt: skip
            yield CounterMetricFamily(f"turnwire_{name}", text, value=count)
        nacks = CounterMetricFamily("turnwire_nacks", "Events refused, by code.", labels=["code"])
        for code, count in metrics.nacks.items():
            nacks.add_metric([code], count)
        yield nacks
        for name, text, value in (
            ("storage_up", "Whether the database answers.", int(metrics.storage_up)),
            *metrics.gauges(),
        ):
            yield GaugeMetricFamily(f"turnwire_{name}", text, value=value)
