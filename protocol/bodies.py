"""The bodies of REST requests and answers, as msgspec Structs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import UNSET, UnsetType, field

from turnwire.protocol.control.messages import State
from turnwire.protocol.errors import ErrorCode, MalformedEvent, TurnwireError
from turnwire.protocol.messages import (
    TIMESTAMP,
    BadEvent,
    Event,
    EventIn,
    EventType,
    FinalStatus,
    JsonObject,
    Session,
    SessionStatus,
    Shape,
    Timestamp,
)
from turnwire.protocol.shape import OrNull


class CreateSession(Shape, forbid_unknown_fields=False):
    """Body of `POST /sessions`."""

    language: str
    session_id: str | None = None
    metadata: OrNull[JsonObject] = field(default_factory=dict)
    status: OrNull[SessionStatus] = "initiated"
    started_at: TIMESTAMP = None

    def __post_init__(self) -> None:
        self.metadata = self.metadata or {}
        self.status = self.status or "initiated"


class AmendSession(Shape):
    """Body of `PATCH /sessions/{id}`. `metadata` is a merge patch (RFC 7396): a null value removes its key."""

    metadata: OrNull[JsonObject] | UnsetType = UNSET
    language: OrNull[str] | UnsetType = UNSET


class CompleteSession(Shape):
    """Body of `POST /sessions/{id}/complete`. The body may be absent."""

    status: OrNull[FinalStatus] = "completed"
    reason: str | None = None

    def __post_init__(self) -> None:
        self.status = self.status or "completed"


class EventBatchIn(Shape):
    """Body of `POST /sessions/{id}/events` with several events."""

    events: list[EventIn]


class EventBatch(Shape):
    events: list[Event]


class EventPage(Shape):
    """A window of the log, in seq order. `afterSeq=nextAfterSeq` asks for the next one."""

    events: list[Event]
    last_seq: int
    next_after_seq: int


class SessionCount(Shape):
    """The number of sessions that match the filters, over all pages. A lower bound unless `exact`."""

    value: int
    exact: bool


class SessionList(Shape, omit_defaults=True):
    """One page of sessions.

    `count` is present when the request asked for it. `searched_back_to` is present when the search ran out of time:
    the cursor continues it. `searched` names the parts of a session in which `q` was looked for.
    """

    sessions: list[Session]
    next_cursor: str | None
    count: SessionCount | UnsetType = UNSET
    searched_back_to: Timestamp | UnsetType = UNSET
    searched: list[Literal["id", "metadata", "speech"]] | UnsetType = UNSET


class SessionGroup(Shape, kw_only=True):
    """Sums over the sessions that share one `key`.

    `response_p50_ms` is the median of the sessions' medians, `response_p95_ms` the 95th percentile of their
    `responseP95Ms`.
    """

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
    """Sums by group and over all sessions. `groups_left_off` counts the groups that are not listed."""

    groups: list[SessionGroup]
    total: SessionGroup
    groups_left_off: int = 0


class HistoryEvent(Shape):
    """An event inside its session, hence without `sessionId`."""

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
    """The body of every REST error."""

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
    """Absent unless gateways notify each other through Redis."""


class RecentSeries(Shape):
    """One value for each reading; null where nothing was acked or committed."""

    events_per_second: list[float]
    ack_p50_ms: list[float | None]
    ack_p95_ms: list[float | None]
    ack_p99_ms: list[float | None]
    publishers: list[int]
    subscribers: list[int]
    live_sessions: list[int]
    outbox_bytes: list[int]
    events_per_commit: list[float | None]
    commit_p95: list[float | None]
    storage_up: list[int]


class RecentMetrics(Shape):
    """Answer of `GET /metrics/recent`: readings `every_ms` apart, taken at `times_ms` (milliseconds since 1970)."""

    every_ms: int
    times_ms: list[int]
    series: RecentSeries


class Health(Shape):
    status: Literal["ok", "degraded", "down"]
    timestamp: Timestamp
    service: str
    version: str
    dependencies: Dependencies
    reasons: dict[str, str] | UnsetType = UNSET
    """Why a dependency refuses to work, by the dependency's name. The text tells the operator, who has to intervene."""


class CommandIn(Shape):
    """Body of `POST /sessions/{id}/commands`. The command may be delivered to the bot for `ttl_ms` milliseconds."""

    command_id: str
    command: str
    payload: JsonObject
    by: str | None = None
    ttl_ms: int | None = None


class MintedToken(Shape):
    """The answer of `POST /tokens`: a token for another client, such as a browser."""

    token: str
    expires_at: Timestamp


class CommandAnswer(Shape, omit_defaults=True):
    """The state of a command. `message` comes from the bot."""

    command_id: str
    state: State
    message: str | None = None


def good_events(decoded: Sequence[EventIn | BadEvent], *, is_batch: bool) -> list[EventIn]:
    """Return the events. Raises MalformedEvent or TooLarge, with one text for each bad one, if any is bad."""
    bad = [(index, event) for index, event in enumerate(decoded) if isinstance(event, BadEvent)]
    if not bad:
        return [event for event in decoded if isinstance(event, EventIn)]
    if not is_batch:
        raise TurnwireError(bad[0][1].code, bad[0][1].message, [bad[0][1].message])
    texts = [f"events[{index}]: {event.message}" for index, event in bad]
    if all(event.code is ErrorCode.TOO_LARGE for _, event in bad):
        raise TurnwireError(ErrorCode.TOO_LARGE, texts[0], texts)
    raise MalformedEvent(texts[0], texts)
