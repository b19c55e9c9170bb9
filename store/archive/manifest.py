"""The manifest of an archived session: which part of its object holds which events, each with a digest.

The object is one line of NDJSON in the form that an import reads, as several Zstandard frames in a row. Any tool can
unpack the whole object, and a window of events costs only the frames that hold it. The first frame holds the fields of
the session, the last one the end of the line.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from turnwire.protocol.errors import LogHole, StorageUnavailable

FORMAT: Final = 1


class ArchiveDamaged(LogHole):
    """The archive of a session differs from what was written. `reason` tells the operator how."""

    def __init__(self, session_id: str, reason: str) -> None:
        StorageUnavailable.__init__(self, f"the archive of session {session_id!r} is damaged")
        self.session_id = session_id
        self.reason = reason
        self.seq = 0


class Frame(Struct, frozen=True, rename="camel"):
    """A part of the object. `first` is the seq of its first event; `events` is its number of events."""

    first: int
    events: int
    offset: int
    size: int
    """Size in bytes, as stored."""
    text_size: int
    """Size in bytes when unpacked."""
    sha256: str
    """SHA-256 of the stored bytes."""

    @property
    def last(self) -> int:
        return self.first + self.events - 1


class Manifest(Struct, frozen=True, rename="camel"):
    """The archive of one session, described in JSON."""

    format: int
    session_id: str
    life: int | None
    events: int
    archived_at: datetime
    object: str
    """The object's key."""
    size: int
    """The object's size in bytes."""
    sha256: str
    """SHA-256 of the whole object."""
    frames: tuple[Frame, ...]

    def encode(self) -> bytes:
        return msgspec.json.encode(self)

    def holding(self, seqs: Iterable[int]) -> Iterator[Frame]:
        """Iterate over the frames that hold these positions, each frame once. The positions must be sorted."""
        holders = [frame for frame in self.frames if frame.events]
        firsts = [frame.first for frame in holders]
        last: Frame | None = None
        for seq in seqs:
            found = holders[bisect_right(firsts, seq) - 1]
            if found is not last:
                last = found
                yield found


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_manifest(session_id: str, data: bytes, digest: str | None = None) -> Manifest:
    """Parse the manifest. Raises ArchiveDamaged if the text is not a manifest, or has another digest."""
    if digest is not None and digest_of(data) != digest:
        raise ArchiveDamaged(session_id, "the manifest has another digest than the session says")
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise ArchiveDamaged(session_id, f"the manifest cannot be read: {error}") from None
    if manifest.format != FORMAT:
        raise ArchiveDamaged(session_id, f"the manifest has format {manifest.format}, and this version reads {FORMAT}")
    fault = _fault_of(manifest, session_id)
    if fault is not None:
        raise ArchiveDamaged(session_id, fault)
    return manifest


def _fault_of(manifest: Manifest, session_id: str) -> str | None:
    if manifest.session_id != session_id:
        return f"the manifest is of session {manifest.session_id!r}"
    offset, seq = 0, 1
    for frame in manifest.frames:
        if frame.offset != offset or (frame.events and frame.first != seq):
            return f"the manifest has a gap before seq {frame.first}"
        offset += frame.size
        seq += frame.events
    if offset != manifest.size or seq != manifest.events + 1:
        return "the frames of the manifest do not add up"
    return None
