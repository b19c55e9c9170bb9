"""Recorded conversations as NDJSON, plain or gzipped, one call a line.

`{sessionId, language, metadata?, durationMs?, events: [{eventId, type, payload, offsetMs}]}`
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated

import msgspec
from msgspec import Meta, field

from turnwire.errors import ClientError
from turnwire.protocol.errors import TurnwireError
from turnwire.protocol.messages import EventIn, EventType, JsonObject, Limits, Shape
from turnwire.protocol.rules import check_event, check_new_session_id, checked_metadata
from turnwire.protocol.salvage import UNDECODABLE

_GZIP = b"\x1f\x8b"
_LIMITS = Limits()


class RecordedEvent(Shape):
    """An event of a recording. `offset_ms` is its time, in milliseconds from the start of the call."""

    event_id: str
    type: EventType
    payload: JsonObject
    offset_ms: Annotated[int, Meta(ge=0)]


class Recording(Shape):
    """One call. Its events are ordered by offset."""

    session_id: str
    language: str
    events: list[RecordedEvent]
    metadata: JsonObject = field(default_factory=dict)
    duration_ms: Annotated[int, Meta(ge=0)] | None = None

    @property
    def end_reason(self) -> str | None:
        """The reason for the end of the call, from its last `call.ended`; None without one."""
        for event in reversed(self.events):
            if event.type == "system" and event.payload.get("event") == "call.ended":
                reason = event.payload.get("reason")
                return reason if isinstance(reason, str) and reason else None
        return None


class RecordingError(ClientError, ValueError):
    """A file is not a valid recording. The text begins with the file's name and the line."""


def read_recordings(path: Path) -> Iterator[Recording]:
    """Read and check the calls of a file, one at a time. Raises RecordingError, and OSError for an unreadable file."""
    lines_of: dict[str, int] = {}
    decoder = msgspec.json.Decoder(Recording)
    with path.open("rb") as plain:
        packed = plain.peek(2)[:2] == _GZIP
        for number, line in enumerate(_lines(plain, packed, path), start=1):
            if not line.strip():
                continue
            try:
                recording = decoder.decode(line)
                _check(recording)
            except (TurnwireError, *UNDECODABLE) as error:
                raise RecordingError(f"{path}, line {number}: {error}") from None
            first = lines_of.setdefault(recording.session_id, number)
            if first != number:
                raise RecordingError(
                    f"{path}, line {number}: session {recording.session_id!r} is in line {first} already"
                )
            yield recording


def _lines(plain: IO[bytes], packed: bool, path: Path) -> Iterator[bytes]:
    if not packed:
        yield from plain
        return
    try:
        with gzip.open(plain) as unpacked:
            yield from unpacked
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise RecordingError(f"{path}: the compressed data is damaged: {error}") from None


def _check(recording: Recording) -> None:
    check_new_session_id(recording.session_id, _LIMITS)
    checked_metadata(recording.metadata, _LIMITS)
    seen: set[str] = set()
    offset = 0
    for index, event in enumerate(recording.events):
        if event.event_id in seen:
            raise ValueError(f"events[{index}]: the eventId {event.event_id!r} occurs twice")
        if event.offset_ms < offset:
            raise ValueError(f"events[{index}]: offsetMs goes back from {offset} to {event.offset_ms}")
        seen.add(event.event_id)
        offset = event.offset_ms
        try:
            check_event(EventIn(event.event_id, event.type, event.payload), _LIMITS)
        except TurnwireError as error:
            raise ValueError(f"events[{index}]: {error}") from None
