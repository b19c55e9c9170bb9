"""The bodies of REST requests and answers, as msgspec Structs."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType, field

from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.messages import (
    Event,
    EventIn,
    EventType,
    FinalStatus,
    InitialStatus,
    JsonObject,
    Session,
    Shape,
    Timestamp,
)


class CreateSession(Shape, forbid_unknown_fields=False):
    """Body of `POST /sessions`."""

    language: str
    session_id: str | None = None
    metadata: JsonObject = field(default_factory=dict)
    status: InitialStatus = "initiated"


class CompleteSession(Shape):
    """Body of `POST /sessions/{id}/complete`; may be absent."""

    status: FinalStatus = "completed"
    reason: str | None = None


class EventBatchIn(Shape):
    """Body of `POST /sessions/{id}/events` for several events."""

    events: list[EventIn]


class EventBatch(Shape):
    events: list[Event]


class EventPage(Shape):
    """A window of the log in seq order; ask again with `afterSeq=nextAfterSeq`."""

    events: list[Event]
    last_seq: int
    next_after_seq: int


class SessionList(Shape):
    sessions: list[Session]
    next_cursor: str | None


class HistoryEvent(Shape):
    """An event inside its session: without `sessionId`."""

    event_id: str
    type: EventType
    payload: JsonObject
    timestamp: Timestamp
    seq: int


class PagePagination(Shape):
    total: int
    page: int
    limit: int
    total_pages: int


class OffsetPagination(Shape):
    total: int
    limit: int
    offset: int
    has_more: bool


class SessionHistory(Session, kw_only=True):
    """A session with one page of its events."""

    events: list[HistoryEvent]
    pagination: PagePagination | OffsetPagination


class ErrorEnvelope(Shape):
    """Every error answer of the REST side."""

    status_code: int
    timestamp: Timestamp
    path: str
    method: str
    error: str
    message: str | list[str]
    code: ErrorCode


class Dependencies(Shape):
    mongodb: Literal["up", "down"]
    redis: Literal["up", "down"] | UnsetType = UNSET
    """Only where gateways tell each other what is new."""


class Health(Shape):
    status: Literal["ok", "degraded", "down"]
    timestamp: Timestamp
    service: str
    version: str
    dependencies: Dependencies
    reasons: dict[str, str] | UnsetType = UNSET
    """Why a dependency refuses, by its name, in words for whoever runs the gateway: it does not mend itself."""
