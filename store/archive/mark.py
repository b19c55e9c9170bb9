"""What a stored session says about its archived log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

Document = dict[str, Any]


class ArchiveMark(Struct, frozen=True):
    """States that the whole log is in the archive, and has been verified."""

    attempt: str
    """The attempt that wrote the objects. Every attempt to archive the session has its own."""
    digest: str
    """The SHA-256 of its manifest, in hexadecimal."""
    events: int
    """The number of archived events, which are those at positions 1 to this one."""
    at: datetime
    """When it was archived."""
    cleared: bool = False
    """Whether all of these events have been removed from the database."""

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
