"""Prometheus metrics of a gateway: cheap counts on the hot path, and gauges that are read at each scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from turnwire.gateway.telemetry.call_metrics import CallMetrics
from turnwire.gateway.telemetry.histogram import Histogram
from turnwire.gateway.telemetry.http_metrics import HttpMetrics
from turnwire.protocol.errors import ErrorCode

ACK_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
COMMIT_BOUNDS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

Gauge = tuple[str, str, int]
"""A metric: its name without `turnwire_`, its help text, its value."""


# A `_created` series would double the number of series. The package has no annotations here.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The counts of one gateway. Belongs to its event loop; counts of the hot path are plain integers."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        self.gauges: Callable[[], Iterable[Gauge]] = tuple
        """Returns the gauges that describe the gateway's state; called at each scrape."""
        self.counts: Callable[[], Iterable[Gauge]] = tuple
        """Returns the counts that other parts keep; called at each scrape."""
        self.connections: Callable[[], Mapping[str, int]] = dict
        """Returns the number of open connections by role; called at each scrape."""
        self.bounds_used: Callable[[], Mapping[str, float]] = dict
        """Returns, by bound, the share of it that is in use; called at each scrape."""
        self.storage_up = True
        self.embedded_restarts: Callable[[], int] = int
        """Returns how often the embedded database has been restarted."""
        self.events_stored = 0
        self.events_duplicate = 0
        self.nacks: Counter[ErrorCode] = Counter()
        self.takeovers = 0
        self.log_rollbacks = 0
        self.subscriber_switches = 0
        self.frames_received = 0
        self.commit_seconds = Histogram(ACK_BOUNDS)
        self.commit_events = Histogram(COMMIT_BOUNDS)
        self.ack_seconds = Histogram(ACK_BOUNDS)
        self.http = HttpMetrics(self.registry)
        self.calls = CallMetrics(self.registry)
        self.registry.register(_AtScrape(self))
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.GCCollector(registry=self.registry)

    def committed(self, events: int, seconds: float) -> None:
        self.events_stored += events
        self.commit_seconds.observe(seconds)
        self.commit_events.observe(events)

    def acked(self, seconds: float) -> None:
        self.ack_seconds.observe(seconds)

    def duplicates(self, count: int) -> None:
        self.events_duplicate += count

    def nacked(self, code: ErrorCode, count: int) -> None:
        self.nacks[code] += count

    def takeover(self) -> None:
        self.takeovers += 1

    def fell_behind(self) -> None:
        self.subscriber_switches += 1

    def received(self, frames: int) -> None:
        self.frames_received += frames


class _AtScrape(Collector):
    """Exposes the plain integers and the gateway's state as metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        metrics = self._metrics
        for name, text, count in (
            ("events_stored", "Events made durable by this gateway.", metrics.events_stored),
            ("events_duplicate", "Events received again and answered as first stored.", metrics.events_duplicate),
            ("takeovers", "Publishers replaced by a newer publisher of their session.", metrics.takeovers),
            ("log_rollbacks", "Logs found to have lost acked events.", metrics.log_rollbacks),
            ("subscriber_switches", "Subscriptions that fell behind and continued from the store.",
             metrics.subscriber_switches),
            ("frames_received", "WebSocket frames received.", metrics.frames_received),
            ("embedded_restarts", "Restarts of the embedded database.", metrics.embedded_restarts()),
            *metrics.counts(),
        ):  # fmt: skip
            yield CounterMetricFamily(f"turnwire_{name}", text, value=count)
        for name, text, histogram in (
            ("commit_seconds", "Seconds that a commit of events took.", metrics.commit_seconds),
            ("ack_seconds", "Seconds from the receipt of a publisher's events to their ack; the longest of those acked "
             "together.", metrics.ack_seconds),
            ("commit_events", "Number of events in one commit.", metrics.commit_events),
        ):  # fmt: skip # a metric a line, as above
            family = HistogramMetricFamily(f"turnwire_{name}", text)
            histogram.expose(family)
            yield family
        nacks = CounterMetricFamily("turnwire_nacks", "Events refused, by code.", labels=["code"])
        for code, count in metrics.nacks.items():
            nacks.add_metric([code], count)
        yield nacks
        for name, text, value in (
            ("storage_up", "Whether the database answers.", int(metrics.storage_up)),
            *metrics.gauges(),
        ):
            yield GaugeMetricFamily(f"turnwire_{name}", text, value=value)
        yield _labelled("connections", "Open connections, by role.", "role", metrics.connections())
        yield _labelled("bound_used_ratio", "Share of a bound that is in use.", "bound", metrics.bounds_used())


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"turnwire_{name}", text, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family
