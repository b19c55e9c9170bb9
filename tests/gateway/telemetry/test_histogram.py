"""The histogram of the hot path is exposed as the package's own is."""

from __future__ import annotations

import prometheus_client
import pytest
from prometheus_client.metrics_core import HistogramMetricFamily, Metric

from turnwire.gateway.telemetry.histogram import Histogram
from turnwire.gateway.telemetry.metrics import ACK_BOUNDS, COMMIT_BOUNDS


def samples(metric: Metric) -> dict[tuple[str, str], float]:
    return {(sample.name, sample.labels.get("le", "")): sample.value for sample in metric.samples}


@pytest.mark.parametrize("bounds", [ACK_BOUNDS, COMMIT_BOUNDS])
def test_the_histogram_has_the_buckets_count_and_sum_of_the_prometheus_package(bounds: tuple[float, ...]) -> None:
    values = [0, *bounds, *(bound * 1.01 for bound in bounds), bounds[0] / 2, bounds[-1] * 100]
    theirs = prometheus_client.Histogram("seconds", "text", buckets=bounds, registry=None)
    ours = Histogram(bounds)
    for value in values:
        theirs.observe(value)
        ours.observe(value)
    family = HistogramMetricFamily("seconds", "text")
    ours.expose(family)
    assert samples(family) == samples(next(iter(theirs.collect())))
    assert sum(ours.counts) == len(values)
