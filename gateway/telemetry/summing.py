"""Sums the metrics of several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

_LEAST = frozenset({"turnwire_storage_up", "turnwire_bus_up", "process_start_time_seconds"})
"""Gauges that are combined by their minimum instead of their sum."""
_MOST = frozenset({"turnwire_bound_used_ratio"})
"""Gauges that are combined by their maximum: each process has bounds of its own."""

_Series = tuple[str, tuple[tuple[str, str], ...]]
"""A sample's name and labels."""


def summed(expositions: Iterable[str]) -> CollectorRegistry:
    """Return a registry with the sum of these Prometheus texts, series by series."""
    registry = CollectorRegistry()
    registry.register(_Summed(expositions))
    return registry


def _combining(name: str) -> Callable[[float, float], float]:
    """Return the function that combines two values of this metric."""
    if name in _LEAST:
        return min
    return max if name in _MOST else float.__add__


class _Summed(Collector):
    def __init__(self, expositions: Iterable[str]) -> None:
        self._families: dict[str, Metric] = {}
        self._values: dict[str, dict[_Series, float]] = {}
        for text in expositions:
            self._add(text)

    def _add(self, text: str) -> None:
        for family in text_string_to_metric_families(text):
            self._families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            add = _combining(family.name)
            values = self._values.setdefault(family.name, {})
            for sample in family.samples:
                series = sample.name, tuple(sorted(sample.labels.items()))
                value = float(sample.value)
                values[series] = add(values[series], value) if series in values else value

    def collect(self) -> Iterator[Metric]:
        for name, family in self._families.items():
            for (sample, labels), value in self._values[name].items():
                family.add_sample(sample, dict(labels), value)
            yield family
