"""The wire shapes of an import: one past call on each line, and the outcome of each line."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, field

from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.messages import TIMESTAMP, JsonObject, SessionStatus, Shape
from turnwire.protocol.shape import OrNull

ImportResult = Literal["imported", "unchanged", "ahead", "different", "missing", "refused", "failed"]


class PastSession(Shape):
    """The fields of a line besides `events`. Without a status, a session with an end is `completed`."""

    session_id: str
    language: str
    started_at: Annotated[datetime, Meta(tz=True)]
    status: SessionStatus | None = None
    ended_at: TIMESTAMP = None
    end_reason: str | None = None
    metadata: OrNull[JsonObject] = field(default_factory=dict)
    importing: bool = False
    """In a line of a backup: whether it was an open past call, whose end was still to be imported."""
    published: bool = False
    """In a line of a backup: whether it was an open session that a publisher had claimed."""

    def __post_init__(self) -> None:
        self.metadata = self.metadata or {}


class ImportOutcome(Shape):
    """The outcome of one line.

    `imported`: the call, or what was missing of it, was stored. `unchanged`: it was stored before. `ahead`, for a
    backup only: it was stored before, and has continued since. `different`: a different session of this id is stored;
    `message` names the difference. `missing`: it is not stored, and the request was only to verify it. `refused`: it
    cannot be stored. `failed`: it could not be stored at this time; send this line and the following ones again.
    """

    line: int
    session_id: str | None
    result: ImportResult
    events: int
    """The number of events of the line that have been examined."""
    code: ErrorCode | None = None
    message: str | None = None
