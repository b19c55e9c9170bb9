"""Prometheus metrics of calls: how they ended, and what their figures say."""

from __future__ import annotations

from typing import Final

import prometheus_client

from turnwire.protocol.messages import Interruptions, SessionFigures, SessionStatus

_OWN_REASONS: Final = frozenset({"abandoned", "expired"})
"""The reasons that the gateway itself gives. Clients may give any text, which would be a series each."""
_RESPONSE_SECONDS: Final = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)
_CALL_SECONDS: Final = (5, 15, 30, 60, 120, 300, 600, 1800, 3600)
_INTERRUPTIONS: Final = (0, 1, 2, 3, 5, 10, 20)


class CallMetrics:
    """Counts the calls that this gateway has ended. None of this is on the path of an event."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self._ended = prometheus_client.Counter(
            "turnwire_sessions_ended",
            "Sessions ended by this gateway; reason: none, abandoned, expired, or other for a client's own.",
            ["status", "reason"],
            registry=registry,
        )
        histogram = prometheus_client.Histogram
        self._p50 = histogram(
            "turnwire_call_response_p50_seconds",
            "The median response latency of a call, for each call that has ended with a response.",
            buckets=_RESPONSE_SECONDS,
            registry=registry,
        )
        self._p95 = histogram(
            "turnwire_call_response_p95_seconds",
            "The 95th percentile of a call's response latencies, for each call that has ended with a response.",
            buckets=_RESPONSE_SECONDS,
            registry=registry,
        )
        self._seconds = histogram(
            "turnwire_call_seconds",
            "The duration of a call that has ended, from its first event.",
            buckets=_CALL_SECONDS,
            registry=registry,
        )
        self._interruptions = histogram(
            "turnwire_call_interruptions",
            "How often one side interrupted the other in a call that has ended.",
            ["by"],
            buckets=_INTERRUPTIONS,
            registry=registry,
        )
        self._counts = {
            "missed": _counter(registry, "missed_responses", "Utterances of users that bots left unanswered"),
            "tools_failed": _counter(registry, "tools_failed", "Tool calls that failed"),
            "errors": _counter(registry, "errors", "Errors that bots reported"),
        }

    def ended(self, status: SessionStatus, reason: str | None, figures: SessionFigures | None) -> None:
        """Count a session that has ended. `figures`: None if they are not known yet, or off; they are left out then."""
        known = "none" if reason is None else reason if reason in _OWN_REASONS else "other"
        self._ended.labels(status, known).inc()
        if figures is None:
            return
        self._seconds.observe(figures.duration_ms / 1000)
        if figures.response_p50_ms is not None:
            self._p50.observe(figures.response_p50_ms / 1000)
        if figures.response_p95_ms is not None:
            self._p95.observe(figures.response_p95_ms / 1000)
        self._interrupted(figures.interruptions)
        for name, counter in self._counts.items():
            counter.inc(getattr(figures, name))

    def _interrupted(self, counts: Interruptions) -> None:
        self._interruptions.labels("user").observe(counts.by_user)
        self._interruptions.labels("bot").observe(counts.by_bot)


def _counter(registry: prometheus_client.CollectorRegistry, name: str, text: str) -> prometheus_client.Counter:
    return prometheus_client.Counter(f"turnwire_call_{name}", f"{text}, in calls that have ended.", registry=registry)
