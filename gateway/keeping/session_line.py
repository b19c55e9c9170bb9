"""The parts of a session's line in a backup or in the archive. An import reads both."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from turnwire.protocol.codec import JSON
from turnwire.protocol.frame_encoder import one_line
from turnwire.protocol.messages import Event, Session


def session_fields(session: Session) -> bytes:
    """Return the fields of a session in the form of a JSON object, without the fields that describe only the moment."""
    return one_line(JSON.encode(replace(session, commands=UNSET, archived=UNSET)))[1:-1]


def event_text(event: Event) -> bytes:
    """Return an event in the form of a line, which names the session already."""
    fields = {"type": event.type, "payload": event.payload, "timestamp": event.timestamp, "seq": event.seq}
    return one_line(JSON.encode_value({"eventId": event.event_id, **fields}))
