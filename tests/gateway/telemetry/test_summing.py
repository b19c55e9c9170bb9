"""The metrics of several workers as those of one gateway."""

from __future__ import annotations

import pytest

from turnwire.gateway.telemetry.summing import summed


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("turnwire_live_sessions", (3, 4), 7),
        ("turnwire_bound_used_ratio", (0.2, 0.9), 0.9),
        ("turnwire_bus_up", (1, 0), 0),
        ("turnwire_bus_up", (1, 1), 1),
        ("turnwire_storage_up", (1, 0), 0),
    ],
)
def test_workers_are_combined_by_sum_most_or_least(name: str, values: tuple[float, float], expected: float) -> None:
    registry = summed(f"# TYPE {name} gauge\n{name} {value}\n" for value in values)
    assert registry.get_sample_value(name) == expected
