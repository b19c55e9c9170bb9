"""How calls end and what their figures say, as metrics."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from turnwire.gateway.telemetry.call_metrics import CallMetrics
from turnwire.protocol.messages import Interruptions, SessionFigures


def figures(**fields: object) -> SessionFigures:
    """Return the figures of a call of a minute in which nobody answered anybody, except for these fields."""
    usual: dict[str, object] = {
        "turns": 0,
        "response_p50_ms": None,
        "response_p95_ms": None,
        "missed": 0,
        "interruptions": Interruptions(),
        "tools_failed": 0,
        "errors": 0,
        "duration_ms": 60_000,
        "talk_ms": 0,
        "last_line": None,
    }
    return SessionFigures(**(usual | fields))  # type: ignore[arg-type]


def made() -> tuple[CallMetrics, Callable[..., float | None]]:
    registry = CollectorRegistry()
    metrics = CallMetrics(registry)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"turnwire_{name}", labels)

    return metrics, value


def test_ends_are_counted_by_status_and_by_the_gateways_own_reasons_only() -> None:
    metrics, value = made()
    for reason in ("abandoned", "expired", None, "hung up", "caller 4711 hung up"):
        metrics.ended("failed", reason, None)
    for reason, count in (("abandoned", 1), ("expired", 1), ("none", 1), ("other", 2)):
        assert value("sessions_ended_total", status="failed", reason=reason) == count
    assert value("sessions_ended_total", status="failed", reason="hung up") is None


def test_a_call_with_responses_is_counted_by_its_median_and_its_95th_percentile() -> None:
    metrics, value = made()
    metrics.ended("completed", None, figures(response_p50_ms=700, response_p95_ms=2500))
    assert value("call_response_p50_seconds_bucket", le="0.5") == 0
    assert value("call_response_p50_seconds_bucket", le="0.75") == 1
    assert value("call_response_p95_seconds_bucket", le="2.0") == 0
    assert value("call_response_p95_seconds_bucket", le="3.0") == 1
    assert value("call_seconds_sum") == 60


def test_a_call_without_responses_or_figures_is_left_out_of_the_latencies() -> None:
    metrics, value = made()
    metrics.ended("completed", None, figures())
    metrics.ended("completed", None, None)
    assert value("call_response_p50_seconds_count") == value("call_response_p95_seconds_count") == 0
    assert value("call_seconds_count") == 1


def test_interruptions_missed_answers_failed_tools_and_errors_are_counted() -> None:
    metrics, value = made()
    metrics.ended(
        "completed", None, figures(interruptions=Interruptions(by_user=3), missed=2, tools_failed=4, errors=5)
    )
    assert value("call_interruptions_sum", by="user") == 3
    assert value("call_interruptions_bucket", by="bot", le="0.0") == 1
    assert value("call_missed_responses_total") == 2
    assert value("call_tools_failed_total") == 4
    assert value("call_errors_total") == 5
