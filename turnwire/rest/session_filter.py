"""The filters of `GET /sessions`, and their query string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from turnwire.protocol.messages import SessionStatus


class SessionFilter(TypedDict, total=False):
    """The conditions that sessions must meet, all of them. Times are ISO-8601 and exclusive.

    Bounds on figures and durations match ended sessions only.
    """

    status: SessionStatus | None
    language: str | None
    started_after: str | None
    started_before: str | None
    end_reason: str | None
    id_prefix: str | None
    metadata: Mapping[str, str]
    """The values that metadata keys must have; at most 4 keys."""
    min_duration_ms: int | None
    max_duration_ms: int | None
    has_errors: bool | None
    tools_failed: int | None
    """Minimum number of failed tool calls."""
    min_response_p95_ms: int | None
    min_interruptions: int | None
    q: str | None
    """Words of the id, of the metadata or of what was said."""
    order: Literal["asc", "desc"] | None
    """The order of their starts; `desc` by default."""


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
    """Return the filter as query parameters. Raises TypeError for an unknown name."""
    given: dict[str, Any] = dict(filter)
    metadata: Mapping[str, str] = given.pop("metadata", None) or {}
    unknown = given.keys() - _NAMES.keys()
    if unknown:
        raise TypeError(f"there is no filter {sorted(unknown)[0]!r}; there are {', '.join(_NAMES)} and metadata")
    query = [(_NAMES[name], text_of(value)) for name, value in given.items() if value is not None]
    return query + [(f"metadata.{key}", value) for key, value in metadata.items()]


def text_of(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
