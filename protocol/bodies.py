"""The bodies of REST requests and answers, as msgspec Structs."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType, field

from turnwire.protocol.control.messages import State
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
from turnwire.protocol.shape import OrNull


class CreateSession(Shape, forbid_unknown_fields=False):
    """Body of `POST /sessions`."""

    language: str
    session_id: str | None = None
    metadata: OrNull[JsonObject] = field(default_factory=dict)
    status: OrNull[InitialStatus] = "initiated"

    def __post_init__(self) -> None:
        self.metadata = self.metadata or {}
        self.status = self.status or "initiated"


class AmendSession(Shape):
    """Body of `PATCH /sessions/{id}`. `metadata` is a merge patch (RFC 7396): null in it removes."""

    metadata: OrNull[JsonObject] | UnsetType = UNSET
    language: OrNull[str] | UnsetType = UNSET


class CompleteSession(Shape):
    """Body of `POST /sessions/{id}/complete`; may be absent."""

    status: OrNull[FinalStatus] = "completed"
    reason: str | None = None

    def __post_init__(self) -> None:
        self.status = self.status or "completed"


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


class SessionCount(Shape):
    """Sessions that pass the filters, all pages together; when not `exact`, there are more, or may be."""

    value: int
    exact: bool


class SessionList(Shape, omit_defaults=True):
    """`count` is there when it was asked for. `searched_back_to` is there when the search stopped before its end, for
    lack of time: go on with the cursor. `searched` says what `q` has looked at."""

    sessions: list[Session]
    next_cursor: str | None
    count: SessionCount | UnsetType = UNSET
    searched_back_to: Timestamp | UnsetType = UNSET
    searched: list[Literal["id", "metadata", "speech"]] | UnsetType = UNSET


class SessionGroup(Shape, kw_only=True):
    """Sums over sessions that have something in common. Percentiles are of the calls' own: the median of their
    medians, and what 95 in 100 of their `responseP95Ms` do not exceed."""

    key: str | None
    calls: int
    failed: int
    talk_ms: int
    response_p50_ms: int | None
    response_p95_ms: int | None
    missed: int
    interruptions: int
    tools_failed: int
    errors: int


class SessionSums(Shape):
    """`groups_left_off`: how many groups there are beside these."""

    groups: list[SessionGroup]
    total: SessionGroup
    groups_left_off: int = 0


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


class CommandIn(Shape):
    """Body of `POST /sessions/{id}/commands`. `ttl_ms`: how long it may still reach the bot."""

    command_id: str
    command: str
    payload: JsonObject
    by: str | None = None
    ttl_ms: int | None = None


class CommandAnswer(Shape, omit_defaults=True):
    """How far a command is; `message` is the bot's."""

    command_id: str
    state: State
    message: str | None = None
