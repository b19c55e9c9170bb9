"""Figures of a load."""

from __future__ import annotations

from collections.abc import Sequence

from turnwire.protocol import figures


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of unsorted values; 0 if there are none."""
    return figures.percentile(sorted(values), share) or 0.0
