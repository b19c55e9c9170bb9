"""Reads archived events in the same way as the log: by position, verified, in bounded memory, off the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Raw

from turnwire.protocol.messages import Event
from turnwire.store.archive.frame_cache import FrameCache
from turnwire.store.archive.frames import decode, split
from turnwire.store.archive.manifest import ArchiveDamaged, Frame, Manifest, read_manifest
from turnwire.store.archive.marks import ArchivedSession, ArchiveMarks
from turnwire.store.archive.objects import ArchiveMissing, ArchiveUnavailable, Objects
from turnwire.store.archive.places import folder_of, is_of_life, manifest_key
from turnwire.store.condition import DatabaseCondition

CACHE_BYTES: Final = 64 * 1024 * 1024
CACHE_SECONDS: Final = 300.0
_AT_ONCE: Final = 4
"""Maximum number of parts that are read at a time. Each is held as it was stored, unpacked, and split."""
_RAW_BYTES: Final = 100
Identity = tuple[int, str, datetime]
"""(seq, eventId, timestamp)."""
_UNSET: Final = "the log is archived, and TURNWIRE_ARCHIVE_URL is not set"


class ArchivedLog:
    """The archived part of the logs of all sessions. `objects` is None while no archive is set.

    Methods that read raise StorageUnavailable (its subclass ArchiveUnavailable included) and ArchiveDamaged.
    """

    def __init__(self, database: Any, condition: DatabaseCondition) -> None:
        """Use the collections of a Motor database."""
        self.marks = ArchiveMarks(database, condition)
        self.objects: Objects | None = None
        self.on_trouble: Callable[[str, Exception], None] = _ignore
        """Called with the session's id and the error after a read has failed."""
        self._cache: FrameCache[Any] = FrameCache(CACHE_BYTES, CACHE_SECONDS, time.monotonic)
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def use(self, objects: Objects, *, cache_bytes: int, cache_seconds: float) -> None:
        """Read from this archive. Keep at most this many bytes of what was read, for this long."""
        self.objects = objects
        self._cache = FrameCache(cache_bytes, cache_seconds, time.monotonic)

    @property
    def cached_bytes(self) -> int:
        return self._cache.bytes

    async def holds(self, session_id: str, seq: int) -> bool:
        """Return whether the event at this position is archived. Reads no object."""
        found = await self.marks.find(session_id)
        return found is not None and seq <= found.mark.events

    async def complete(
        self, session_id: str, wanted: Sequence[int], found: Sequence[Event], of_life: Callable[[int | None], bool]
    ) -> list[Event]:
        """Return the events found in the log together with those of `wanted` that are archived, in seq order.

        `of_life` returns whether a life is that of the session that the caller means.
        """
        there = {event.seq for event in found}
        archived = await self._read(session_id, [seq for seq in wanted if seq not in there], of_life)
        return sorted([*found, *archived], key=lambda event: event.seq)

    async def identities(self, session_id: str, wanted: Iterable[int], found: Sequence[Identity]) -> list[Identity]:
        """Return what identifies the events found in the log and the archived ones of `wanted`, in seq order."""
        there = {seq for seq, _, _ in found}
        events = await self._read(session_id, [seq for seq in wanted if seq not in there], lambda _: True)
        archived = [(event.seq, event.event_id, datetime.fromisoformat(event.timestamp)) for event in events]
        return sorted([*found, *archived])

    async def erase(self, session_id: str, life: int | None) -> None:
        """Remove everything that is archived of the session with this life. Raises ArchiveUnavailable."""
        folder = folder_of(session_id)
        objects = self._objects()
        for key in await objects.keys(folder):
            if is_of_life(key, life):
                await objects.delete(key)
        await objects.tidy(folder)
        self._cache.forget(lambda key: isinstance(key, tuple) and key[0] == (session_id, life))

    async def manifest(self, session_id: str, found: ArchivedSession) -> Manifest:
        """Return the manifest of an archived session."""
        key = (session_id, found.life), found.mark.digest, "manifest"
        held: Manifest | None = self._cache.get(key)
        if held is None:
            data = await self._objects().read(manifest_key(session_id, found.life, found.mark.attempt))
            held = await self._objects().work(read_manifest, session_id, data, found.mark.digest)
            self._cache.put(key, held, 4 * len(data))
        return held

    # --- reading -----------------------------------------------------------------------------------------------------

    async def _read(self, session_id: str, wanted: Sequence[int], of_life: Callable[[int | None], bool]) -> list[Event]:
        """Return the archived events at these positions. The positions must be sorted."""
        if not wanted:
            return []
        found = await self.marks.find(session_id)
        if found is None or not of_life(found.life):
            return []
        seqs = [seq for seq in wanted if seq <= found.mark.events]
        try:
            return await self._archived(session_id, found, seqs)
        except ArchiveMissing as error:
            damage = ArchiveDamaged(session_id, f"an object is gone: {error.reason}")
            self.on_trouble(session_id, damage)
            raise damage from error
        except (ArchiveUnavailable, ArchiveDamaged) as error:
            self.on_trouble(session_id, error)
            raise

    async def _archived(self, session_id: str, found: ArchivedSession, seqs: Sequence[int]) -> list[Event]:
        manifest = await self.manifest(session_id, found)
        raws: list[Raw] = []
        for frame in manifest.holding(seqs):
            texts = await self._texts(session_id, found, manifest, frame)
            raws += [texts[seq - frame.first] for seq in seqs if frame.first <= seq <= frame.last]
        return await self._objects().work(decode, session_id, raws)

    async def _texts(self, session_id: str, found: ArchivedSession, manifest: Manifest, frame: Frame) -> list[Raw]:
        key = (session_id, found.life), found.mark.digest, frame.offset
        held: list[Raw] | None = self._cache.get(key)
        if held is not None:
            return held
        async with self._turns:
            held = self._cache.get(key)
            if held is None:
                data = await self._objects().read_range(manifest.object, frame.offset, frame.size)
                held = await self._objects().work(split, session_id, frame, data)
                self._cache.put(key, held, frame.text_size + _RAW_BYTES * frame.events)
        return held

    def _objects(self) -> Objects:
        if self.objects is None:
            raise ArchiveUnavailable(_UNSET)
        return self.objects


def _ignore(_session_id: str, _error: Exception) -> None:
    """Do nothing: nobody has asked to hear of failures."""
