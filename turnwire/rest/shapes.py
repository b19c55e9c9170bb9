"""Answers of REST routes that only clients need as types."""

from __future__ import annotations

from typing import Literal

from turnwire.protocol.bodies import HistoryEvent
from turnwire.protocol.messages import Session, Shape, Timestamp

GroupBy = str
"""`day`, `hour`, `language`, `endReason` or `metadata.<key>`."""
Order = Literal["asc", "desc"]


class Pagination(Shape):
    """Where a page stands: `page` and `total_pages`, or `offset` and `has_more`, as it was asked for."""

    total: int
    limit: int
    page: int | None = None
    total_pages: int | None = None
    offset: int | None = None
    has_more: bool | None = None


class SessionPage(Session, kw_only=True):
    """A session with one page of its events."""

    events: list[HistoryEvent]
    pagination: Pagination


class MintedToken(Shape):
    """A token for somebody else, such as a browser."""

    token: str
    expires_at: Timestamp


class CommandState(Shape):
    """How far a command to a bot has come: `requested`, `accepted`, `done`, `refused`, `failed` or `expired`."""

    command_id: str
    state: str
    message: str | None = None


class CallGroup(Shape):
    """Calls of one group, or all of them, in numbers. Percentiles are of the calls' own figures."""

    calls: int
    failed: int
    talk_ms: int
    response_p50_ms: int | None
    response_p95_ms: int | None
    missed: int
    interruptions: int
    tools_failed: int
    errors: int
    key: str | None = None
    """What the group has in common; None for the total."""


class CallStats(Shape):
    """Many calls in numbers: by group, and in all."""

    groups: list[CallGroup]
    total: CallGroup
