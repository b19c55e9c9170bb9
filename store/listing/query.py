"""The query for a page of sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct, field

from turnwire.protocol.messages import SessionStatus
from turnwire.store.session_filter import SearchFilter
from turnwire.store.session_patterns import covers
from turnwire.store.session_record import SessionRecord

_MILLISECOND = timedelta(milliseconds=1)


class SessionQuery(Struct, frozen=True, kw_only=True):
    """A query for a page of sessions, newest first by (startedAt, sessionId). Time bounds are exclusive."""

    limit: int
    status: Sequence[SessionStatus] = ()
    """Match any of these; empty matches all."""
    language: str | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None
    before: tuple[datetime, str] | None = None
    """The (startedAt, sessionId) of the last session of the previous page."""
    patterns: Sequence[str] | None = None
    """Match only sessions that one of these covers; None matches all."""
    ascending: bool = False
    """Whether to list the oldest session first."""
    more: SearchFilter = field(default_factory=SearchFilter)

    def matches(self, record: SessionRecord) -> bool:
        """Return whether a session matches the status, language, end reason and patterns."""
        same = self.more.end_reason in (None, record.end_reason or "") and self.language in (None, record.language)
        covered = self.patterns is None or covers(self.patterns, record.session_id)
        return same and covered and (not self.status or record.status in self.status)

    def takes(self, record: SessionRecord) -> bool:
        """Return whether a session meets all conditions except those on time and on what was said."""
        ended = record.ended_at
        duration = None if ended is None else (ended - record.started_at) // _MILLISECOND
        return self.matches(record) and self.more.takes(record.session_id, record.metadata, duration, record.figures)

    def spans(self, moment: datetime) -> bool:
        """Return whether `moment` is within the time bounds."""
        after, before = self.started_after, self.started_before
        return (after is None or moment > after) and (before is None or moment < before)
