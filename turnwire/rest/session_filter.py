"""Which sessions are asked for: the query of `GET /sessions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from turnwire.protocol.messages import SessionStatus


class SessionFilter(TypedDict, total=False):
    """All of them must hold. Times are ISO-8601 and exclusive. Bounds on figures and durations match ended sessions."""

    status: SessionStatus | None
    language: str | None
    started_after: str | None
    started_before: str | None
    end_reason: str | None
    id_prefix: str | None
    metadata: Mapping[str, str]
    """Values that metadata must have; up to 4 keys."""
    min_duration_ms: int | None
    max_duration_ms: int | None
    has_errors: bool | None
    tools_failed: int | None
    """At least so many."""
    min_response_p95_ms: int | None
    min_interruptions: int | None
    q: str | None
    """Words of the id, of metadata or of what was said."""
    order: Literal["asc", "desc"] | None
    """Of their start; `desc` unless asked."""


_NAMES = {
    "status": "status",
    "language": "language",
    "started_after": "startedAfter",
    "started_before": "startedBefore",
    "end_reason": "endReason",
    "id_prefix": "idPrefix",
    "min_duration_ms": "minDurationMs",
    "max_duration_ms": "maxDurationMs",
    "has_errors": "hasErrors",
    "tools_failed": "toolsFailed",
    "min_response_p95_ms": "minResponseP95Ms",
    "min_interruptions": "minInterruptions",
    "q": "q",
    "order": "order",
}


def query_of(filter: SessionFilter) -> list[tuple[str, str]]:
    """As the gateway reads it. Raises TypeError for a filter that there is not."""
    given: dict[str, Any] = dict(filter)
    metadata: Mapping[str, str] = given.pop("metadata", None) or {}
    unknown = given.keys() - _NAMES.keys()
    if unknown:
        raise TypeError(f"there is no filter {sorted(unknown)[0]!r}; there are {', '.join(_NAMES)} and metadata")
    query = [(_NAMES[name], text_of(value)) for name, value in given.items() if value is not None]
    return query + [(f"metadata.{key}", value) for key, value in metadata.items()]


def text_of(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
