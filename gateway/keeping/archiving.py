"""Moves due sessions into the archive: each is written, verified, marked, and only then removed from the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Final
from uuid import uuid4

from msgspec import Struct

from turnwire.gateway.clock import utc_now
from turnwire.gateway.keeping.session_line import event_text, session_fields
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.items import ArchiveItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.sessions.windows import FIRST_WINDOW, next_window
from turnwire.protocol.errors import NoSuchSession, SessionErased
from turnwire.store.archive.manifest import ArchiveDamaged
from turnwire.store.archive.mark import ArchiveMark
from turnwire.store.archive.objects import Objects
from turnwire.store.archive.places import folder_of, is_of_attempt, is_of_life
from turnwire.store.archive.writing import LineWriter, Piece
from turnwire.store.session_record import SessionRecord

_FRAME_BYTES: Final = 256 * 1024
"""Approximate size in bytes of a part that is read as a whole."""
_FRAME_EVENTS: Final = 1000
_SLICE_SECONDS: Final = 0.002
"""Seconds of work after which other tasks get a turn."""
_PAUSE_FACTOR: Final = 3
"""The pause after each read of the log, as a multiple of the read's duration: acks come first."""
_LONGEST_PAUSE: Final = 1.0
_log = logging.getLogger("turnwire.keeping")


class ArchiveCounts(Struct):
    """How many sessions have been archived since the gateway started, and how often archiving has failed."""

    sessions: int = 0
    events: int = 0
    failures: int = 0
    reads_failed: int = 0


class Archiving:
    """Archives one session at a time. Holds no state: a gateway that takes over continues from what is stored."""

    def __init__(self, context: Context, sessions: LiveSessions, objects: Objects, counts: ArchiveCounts) -> None:
        self._context = context
        self._sessions = sessions
        self._objects = objects
        self._marks = context.store.archive.marks
        self._counts = counts

    async def archive(self, record: SessionRecord, only_if: Callable[[SessionRecord], bool]) -> bool:
        """Archive the session, if it meets `only_if` until the end. Return whether this call has archived it.

        Raises ArchiveUnavailable, ArchiveDamaged, StorageUnavailable, Overloaded. After an error, the whole log is in
        the database, in the archive, or in both.
        """
        if record.archive is not None:
            await self._settle(record, record.archive)
            return False
        try:
            live = await self._sessions.open(record.session_id)
            with live.held():
                return await self._archive(live, only_if)
        except NoSuchSession:
            return False

    async def _archive(self, live: LiveSession, only_if: Callable[[SessionRecord], bool]) -> bool:
        record = live.state.record
        attempt = uuid4().hex[:12]
        if live.state.takes_events or not only_if(record) or not await self._marks.begin(record, attempt):
            return False
        writer = LineWriter(self._objects, record.session_id, record.life, attempt)

        async def may_finish() -> None:
            if not await self._marks.is_begun(record, attempt):
                raise SessionErased(record.session_id)

        try:
            mark = await writer.write(self._pieces(live), utc_now(), may_finish)
            sealed = await self._seal(live, mark, only_if)
        except (SessionErased, ArchiveDamaged):
            await writer.remove()
            raise
        if not sealed:
            await writer.remove()
            return False
        self._counts.sessions += 1
        self._counts.events += mark.events
        await self._settle(live.state.record, mark)
        return True

    async def _seal(self, live: LiveSession, mark: ArchiveMark, only_if: Callable[[SessionRecord], bool]) -> bool:
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        live.submit(ArchiveItem(mark, only_if, done))
        return await done

    async def _settle(self, record: SessionRecord, mark: ArchiveMark) -> None:
        """Remove what is stored twice: first the objects of other attempts, then the log in the database."""
        folder = folder_of(record.session_id)
        for key in await self._objects.keys(folder):
            if is_of_life(key, record.life) and not is_of_attempt(key, mark.attempt):
                await self._objects.delete(key)
        await self._objects.tidy(folder)
        await self._marks.clear(record, mark)

    async def _pieces(self, live: LiveSession) -> AsyncIterator[Piece]:
        """Yield the session's line, in pieces of about _FRAME_BYTES."""
        record = live.state.record
        last = record.last_seq
        yield Piece(b'{%b,"events":[' % session_fields(live.state.session()))
        seq, window = 0, FIRST_WINDOW
        texts: list[bytes] = []
        size = begun = 0
        while seq < last:
            asked = time.perf_counter()
            events = await self._context.store.events.read(
                record.session_id, seq + 1, min(seq + window, last), record.life
            )
            began, window_bytes = time.perf_counter(), 0
            pause = min(_LONGEST_PAUSE, _PAUSE_FACTOR * (began - asked))
            for event in events:
                texts.append(event_text(event))
                size += len(texts[-1])
                window_bytes += len(texts[-1])
                if size >= _FRAME_BYTES or len(texts) >= _FRAME_EVENTS:
                    yield _piece(texts, first=begun == 0)
                    begun += len(texts)
                    texts, size = [], 0
                if time.perf_counter() - began > _SLICE_SECONDS:
                    await asyncio.sleep(0)
                    began = time.perf_counter()
            seq += len(events)
            window = next_window(len(events), window_bytes)
            await asyncio.sleep(pause)
        if texts:
            yield _piece(texts, first=begun == 0)
        yield Piece(b"]}\n")


def _piece(texts: list[bytes], *, first: bool) -> Piece:
    return Piece((b"" if first else b",") + b",".join(texts), len(texts))
