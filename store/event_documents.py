"""The documents of stored events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec import Struct

from turnwire.protocol.messages import Event, EventIn
from turnwire.protocol.times import format_time, to_millis

Document = dict[str, Any]


def position_key(session_id: str, seq: int) -> str:
    return f"{session_id}/{seq:010d}"


def event_documents(session_id: str, events: Iterable[tuple[int, EventIn]], life: int | None = None) -> list[Document]:
    """Return the documents of (seq, event) pairs. Timestamps must be aware. `life` is the session's."""
    documents = [
        {
            "_id": f"{session_id}/{seq:010d}",  # position_key, inlined for speed
            "sessionId": session_id,
            "seq": seq,
            "eventId": event.event_id,
            "type": event.type,
            "payload": event.payload,
            "timestamp": event.timestamp,
        }
        for seq, event in events
    ]
    if life is not None:
        for document in documents:
            document["life"] = life
    return documents


def event_of(document: Document) -> Event:
    return Event(
        event_id=document["eventId"],
        session_id=document["sessionId"],
        type=document["type"],
        payload=document["payload"],
        timestamp=format_time(document["timestamp"]),
        seq=document["seq"],
    )


IDENTITY = {"eventId": 1, "type": 1, "timestamp": 1, "life": 1}
"""The fields that distinguish a stored event from another at the same position."""


class Mark(Struct, frozen=True):
    """An event that is known to have been stored: the fields that distinguish it from another one at its position."""

    seq: int
    at: datetime
    """The event's timestamp."""
    event_id: str | None = None
    """The event's eventId; None if it has not been read."""

    def is_of(self, stored: Document | None) -> bool:
        """Return whether the document at the position is this event. None stands for an empty position."""
        if stored is None or to_millis(stored["timestamp"]) != to_millis(self.at):
            return False
        return self.event_id is None or bool(stored["eventId"] == self.event_id)


def is_same(stored: Document, written: Document) -> bool:
    """Return whether both documents are the same event, by their IDENTITY."""
    return (
        bool(stored["eventId"] == written["eventId"])
        and bool(stored["type"] == written["type"])
        and bool(stored.get("life") == written.get("life"))
        and to_millis(stored["timestamp"]) == to_millis(written["timestamp"])
    )
