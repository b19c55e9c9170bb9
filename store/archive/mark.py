"""What a stored session says of its archived log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

Document = dict[str, Any]


class ArchiveMark(Struct, frozen=True):
    """A log that is whole in the archive, which has been verified."""

    attempt: str
    """Tells its objects from those of other attempts to archive the session."""
    digest: str
    """The SHA-256 of its manifest, in hexadecimal."""
    events: int
    """How many events are archived: positions 1 to this one."""
    at: datetime
    """When it was archived."""
    cleared: bool = False
    """Whether the database holds none of these events any more."""

    def document(self) -> Document:
        return {
            "attempt": self.attempt,
            "digest": self.digest,
            "events": self.events,
            "at": self.at,
            "cleared": self.cleared,
        }


def archive_mark_of(document: Document) -> ArchiveMark | None:
    """Return the mark of a stored session; None if its log is not archived."""
    stored = document.get("archived")
    if stored is None:
        return None
    return ArchiveMark(stored["attempt"], stored["digest"], stored["events"], stored["at"], stored["cleared"])
