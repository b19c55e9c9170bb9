"""Checks an archived session against its manifest: every byte, and every event."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from turnwire.store.archive.frames import decode, split, unpack
from turnwire.store.archive.manifest import ArchiveDamaged, Frame, Manifest, read_manifest
from turnwire.store.archive.objects import ArchiveMissing, Objects
from turnwire.store.archive.places import MANIFEST, folder_of

_READ_BYTES: Final = 1024 * 1024
"""The approximate number of bytes that one read takes."""


async def check_line(objects: Objects, manifest: Manifest) -> None:
    """Read the object of a manifest. Raises ArchiveDamaged if it differs from what was written, and
    ArchiveUnavailable."""
    session_id = manifest.session_id
    try:
        if await objects.size(manifest.object) != manifest.size:
            raise ArchiveDamaged(session_id, f"{manifest.object} does not have {manifest.size} bytes")
        sha256 = hashlib.sha256()
        for frames in _batches(manifest):
            data = await objects.read_range(manifest.object, frames[0].offset, sum(each.size for each in frames))
            await objects.work(sha256.update, data)
            for frame in frames:
                start = frame.offset - frames[0].offset
                await objects.work(_check_frame, session_id, frame, data[start : start + frame.size])
    except ArchiveMissing:
        raise ArchiveDamaged(session_id, f"{manifest.object} is gone") from None
    if sha256.hexdigest() != manifest.sha256:
        raise ArchiveDamaged(session_id, f"{manifest.object} has another digest than its manifest says")


async def check_session(objects: Objects, session_id: str, events: int) -> list[str]:
    """Check everything that is archived under an id. Return the faults, as text for people.

    `events` is the number of events of the session. Raises ArchiveUnavailable.
    """
    faults, counts = [], []
    for key in await objects.keys(folder_of(session_id)):
        if key.endswith(MANIFEST):
            try:
                manifest = read_manifest(session_id, await objects.read(key))
                await check_line(objects, manifest)
                counts.append(manifest.events)
            except ArchiveDamaged as error:
                faults.append(f"{key}: {error.reason}")
            except ArchiveMissing:
                continue  # it was erased a moment ago
    if events not in counts and not faults:
        faults.append(f"no archived line has its {events} events")
    return faults


def _batches(manifest: Manifest) -> Iterator[list[Frame]]:
    batch: list[Frame] = []
    size = 0
    for frame in manifest.frames:
        if batch and size + frame.size > _READ_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(frame)
        size += frame.size
    yield batch


def _check_frame(session_id: str, frame: Frame, data: bytes) -> None:
    if not frame.events:
        unpack(session_id, frame, data)
        return
    events = decode(session_id, split(session_id, frame, data))
    if [event.seq for event in events] != list(range(frame.first, frame.last + 1)):
        raise ArchiveDamaged(
            session_id, f"the part at byte {frame.offset} does not hold seqs {frame.first}-{frame.last}"
        )
