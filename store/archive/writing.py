"""Writes one session into the archive: its line and the manifest. Both are read back and verified."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

from msgspec import Struct

from turnwire.store.archive.checking import check_line
from turnwire.store.archive.frames import pack
from turnwire.store.archive.manifest import FORMAT, ArchiveDamaged, Frame, Manifest, digest_of
from turnwire.store.archive.mark import ArchiveMark
from turnwire.store.archive.objects import Objects
from turnwire.store.archive.places import line_key, manifest_key


class Piece(Struct, frozen=True):
    """A part of a session's line: the text of some events, or the text before and after all events."""

    text: bytes
    events: int = 0


class LineWriter:
    """Writes the objects of one attempt to archive a session. Owned by the task that calls `write`."""

    def __init__(self, objects: Objects, session_id: str, life: int | None, attempt: str) -> None:
        self._objects = objects
        self._session_id = session_id
        self._life = life
        self._attempt = attempt
        self._frames: list[Frame] = []
        self._seq = self._offset = 0
        self._sha256 = hashlib.sha256()

    async def write(
        self, pieces: AsyncIterator[Piece], now: datetime, may_finish: Callable[[], Awaitable[None]]
    ) -> ArchiveMark:
        """Write a line and its manifest. Return the mark for the session after both have been read back.

        `may_finish` raises an error if the objects must not appear any more. Raises ArchiveUnavailable, ArchiveDamaged.
        """
        line = line_key(self._session_id, self._life, self._attempt)
        await self._objects.put(line, self._packed(pieces), may_finish)
        manifest = Manifest(
            FORMAT,
            self._session_id,
            self._life,
            self._seq,
            now,
            line,
            self._offset,
            self._sha256.hexdigest(),
            tuple(self._frames),
        )
        data = manifest.encode()
        place = manifest_key(self._session_id, self._life, self._attempt)
        await self._objects.put(place, _once(data), may_finish)
        if await self._objects.read(place) != data:
            raise ArchiveDamaged(self._session_id, "the manifest is not what was written")
        await check_line(self._objects, manifest)
        return ArchiveMark(self._attempt, digest_of(data), self._seq, now)

    async def remove(self) -> None:
        """Remove the objects of this attempt. Raises ArchiveUnavailable."""
        for place in (line_key, manifest_key):
            await self._objects.delete(place(self._session_id, self._life, self._attempt))

    async def _packed(self, pieces: AsyncIterator[Piece]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            packed = await self._objects.work(pack, piece.text)
            size = len(packed.data)
            self._frames.append(
                Frame(self._seq + 1, piece.events, self._offset, size, packed.text_bytes, packed.sha256)
            )
            self._seq += piece.events
            self._offset += size
            await self._objects.work(self._sha256.update, packed.data)
            yield packed.data


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
