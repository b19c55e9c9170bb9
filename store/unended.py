"""The signs of life of sessions that have not ended."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from turnwire.store.session_record import Document, SessionRecord


class UnendedSession(Struct, frozen=True):
    """The signs of life of a session that has not ended."""

    session_id: str
    epoch: int
    heartbeat: int
    last_seq: int
    latest: datetime
    """The session's start, or the timestamp of its last event, whichever is later."""
    importing: bool = False
    """Whether this is an imported session whose end is still to be imported, so that its age means nothing."""
    takes_commands: bool = False
    """Whether a publisher has said that it accepts commands, and has not been seen to leave since."""

    @property
    def signs(self) -> tuple[int, int, int]:
        """Values of which one changes whenever a publisher claims or holds the session, or an event is stored."""
        return self.epoch, self.heartbeat, self.last_seq

    @classmethod
    def of(cls, record: SessionRecord) -> UnendedSession:
        latest = max(record.started_at, record.last_event_at or record.started_at)
        signs = record.session_id, record.epoch, record.heartbeat, record.last_seq
        return cls(*signs, latest, record.importing, record.commands is not None)

    @classmethod
    def in_document(cls, document: Document) -> UnendedSession:
        return cls(
            document["_id"],
            document["epoch"],
            document["heartbeat"],
            document["lastSeq"],
            max(document["startedAt"], document["lastEventAt"] or document["startedAt"]),
            document.get("importing", False),
            bool(document.get("commands")),
        )
