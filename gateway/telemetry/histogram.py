"""A histogram for what happens with every event and request."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.utils import floatToGoString


class Histogram:
    """Counts values by bucket. Belongs to one event loop.

    The package's own takes a lock for each of its two numbers, goes through the bounds one by one, and needs ten times
    as long.
    """

    __slots__ = ("_bounds", "_sum", "counts")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds`: the upper bounds of the buckets, rising; a value that equals one belongs below it."""
        self._bounds = bounds
        self._sum = 0.0
        self.counts = [0] * (len(bounds) + 1)
        """How many values fell into each bucket, and beyond the last."""

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def expose(self, family: HistogramMetricFamily, labels: Sequence[str] = ()) -> None:
        """Add the histogram to a family of metrics, with the values of the family's labels."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        family.add_metric(labels, list(zip(names, accumulate(self.counts), strict=True)), self._sum)
