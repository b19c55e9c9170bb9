"""The frames of an archived line: packs them, unpacks them, and splits them into events. Each call takes some
milliseconds.

Needs `zstandard`, which an extra installs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from turnwire.protocol.messages import Event, JsonObject
from turnwire.store.archive.manifest import ArchiveDamaged, Frame

_LEVEL = 6
_RAWS = msgspec.json.Decoder(list[Raw])


class _StoredEvent(Struct, rename="camel"):
    """An event in an archived line."""

    event_id: str
    type: str
    payload: JsonObject
    timestamp: str
    seq: int


_EVENT = msgspec.json.Decoder(_StoredEvent)
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class Packed(Struct, frozen=True):
    """The bytes of a frame, and their digest."""

    data: bytes
    text_bytes: int
    sha256: str


def pack(text: bytes) -> Packed:
    import zstandard  # noqa: PLC0415 -- an extra

    data = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(text)
    return Packed(data, len(text), hashlib.sha256(data).hexdigest())


def unpack(session_id: str, frame: Frame, data: bytes) -> bytes:
    """Return the text of a frame. Raises ArchiveDamaged if the frame differs from what was packed."""
    import zstandard  # noqa: PLC0415 -- an extra

    if hashlib.sha256(data).hexdigest() != frame.sha256:
        raise ArchiveDamaged(session_id, f"the part at byte {frame.offset} has another digest than the manifest says")
    try:
        text: bytes = zstandard.ZstdDecompressor().decompress(data, max_output_size=frame.text_size)
    except zstandard.ZstdError as error:
        raise ArchiveDamaged(session_id, f"the part at byte {frame.offset} cannot be unpacked: {error}") from None
    return text


def split(session_id: str, frame: Frame, data: bytes) -> list[Raw]:
    """Return the texts of a frame's events. Raises ArchiveDamaged if the frame differs from what was packed."""
    text = unpack(session_id, frame, data)
    try:
        raws = _RAWS.decode(b"[" + text.removeprefix(b",") + b"]")
    except _UNREADABLE as error:
        raise ArchiveDamaged(session_id, f"the part at byte {frame.offset} has no events: {error}") from None
    if len(raws) != frame.events:
        raise ArchiveDamaged(session_id, f"the part at byte {frame.offset} has {len(raws)} events, not {frame.events}")
    return raws


def decode(session_id: str, raws: Sequence[Raw]) -> list[Event]:
    """Return the events of these texts. Raises ArchiveDamaged."""
    try:
        return [_event(session_id, _EVENT.decode(raw)) for raw in raws]
    except _UNREADABLE as error:
        raise ArchiveDamaged(session_id, f"an event cannot be read: {error}") from None


def _event(session_id: str, stored: _StoredEvent) -> Event:
    kind: Any = stored.type
    return Event(stored.event_id, session_id, kind, stored.payload, stored.timestamp, stored.seq)
