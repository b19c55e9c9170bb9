"""Turns tracing on or off. While it is off, nothing of OpenTelemetry is imported, and requests take no extra step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextvars import Context as TaskContext
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from turnwire.gateway.config import Config, ConfigError

if TYPE_CHECKING:  # structlog takes 50 ms to import
    from structlog.typing import Processor

    from turnwire.gateway.live.state import SessionState
    from turnwire.gateway.tracing.tracing import Tracing
    from turnwire.store.event_log import EventLog

_MISSING: Final = "TURNWIRE_TRACING=on needs OpenTelemetry: pip install 'turnwire[otel]'"

AnyTracing: TypeAlias = "Tracing | Untraced"
F = TypeVar("F", bound=Callable[..., object])


class Untraced:
    """Stands in for `Tracing` in a gateway that does not trace: every function stays unwrapped."""

    def guarded(self, guard: F) -> F:
        return guard

    def answered(self, answered: F) -> F:
        return answered

    def committed(self, committed: F) -> F:
        return committed

    def task_context(self, _state: SessionState) -> TaskContext | None:
        """Return None: the session's task runs in the context of whoever wakes it."""
        return None

    def call_ended(self, _state: SessionState) -> None:
        """Do nothing. Called once for each call, at its end."""

    def counts(self) -> Iterator[tuple[str, str, int]]:
        return iter(())

    async def run(self) -> None:
        """Return at once."""

    async def close(self) -> None:
        """Do nothing."""


def is_traced(config: Config) -> bool:
    """Return whether the settings ask for traces, and the OTEL_* variables do not forbid them."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return config.tracing == "on" and not disabled and os.environ.get("OTEL_TRACES_EXPORTER") != "none"


def tracing_of(config: Config, log: EventLog) -> AnyTracing:
    """Return the tracing for a gateway with these settings. Raises ConfigError for settings that cannot be followed."""
    if not is_traced(config):
        return Untraced()
    try:
        from turnwire.gateway.tracing.tracing import Tracing  # noqa: PLC0415 - imports OpenTelemetry
    except ImportError:
        raise ConfigError(_MISSING) from None
    return Tracing(log, database=config.mongodb_database, end_grace=config.end_grace)


def log_processors(config: Config) -> list[Processor]:
    """Return the log processors that add trace ids to log records; none if the gateway does not trace. Raises
    ConfigError."""
    if not is_traced(config):
        return []
    try:
        from turnwire.gateway.tracing.identity import add_trace_ids  # noqa: PLC0415 - imports OpenTelemetry
    except ImportError:
        raise ConfigError(_MISSING) from None
    return [add_trace_ids]
