"""Answers of REST routes that only clients need as types, and types of queries."""

from __future__ import annotations

from typing import Literal

from turnwire.protocol.bodies import HistoryEvent
from turnwire.protocol.messages import Session, Shape

GroupBy = str
"""`day`, `hour`, `language`, `endReason` or `metadata.<key>`."""
Order = Literal["asc", "desc"]


class Pagination(Shape):
    """The position of a page: `page` and `total_pages`, or `offset` and `has_more`, depending on the request."""

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
