"""Reads all sessions as the lines of a backup. The lines have the form of an import, with what a restore needs
besides."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from turnwire.gateway.keeping.session_line import event_text, session_fields
from turnwire.gateway.sessions.pages import Pages, Place
from turnwire.gateway.sessions.requests import Requests, View
from turnwire.gateway.sessions.windows import FIRST_WINDOW, MAX_WINDOW, next_window
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import NoSuchSession
from turnwire.protocol.frame_encoder import one_line
from turnwire.protocol.messages import Event, Session
from turnwire.store.archive.manifest import ArchiveDamaged
from turnwire.store.mongo import Store
from turnwire.store.session_record import SessionRecord
from turnwire.store.sessions import SessionQuery

_PAGE = 50


class BackupLines:
    """Reads every session, newest first, each in its state at that moment. Holds no state.

    Sessions that begin after the first read are left out. A session costs one read, and one more for each window of its
    events.
    """

    def __init__(self, pages: Pages, requests: Requests, store: Store, encode_cursor: Callable[[Place], str]) -> None:
        self._pages = pages
        self._requests = requests
        self._sessions = store.sessions  # not from an index, which may lack the newest sessions
        self._log = store.events
        self._encode_cursor = encode_cursor

    async def read(self, before: Place | None) -> AsyncGenerator[bytes, None]:
        """Yield the lines after this place, in pieces of up to about 256 KiB, and then a line that marks the end.

        Raises StorageUnavailable, and LogHole if a long session is erased while it is read.
        """
        count = 0
        while True:
            async with self._pages.turn():
                page = await self._sessions.stored_page(SessionQuery(limit=_PAGE, before=before))
            for stored in page:
                before = stored.started_at, stored.session_id
                async for piece in self._line(before, _marks(stored.record())):
                    yield piece
                count += 1
            if len(page) < _PAGE:
                break
        yield b'{"end":{"sessions":%d}}\n' % count

    async def _line(self, place: Place, marks: bytes) -> AsyncGenerator[bytes, None]:
        """Yield the line of the session in its current state, with its events so far. Yield nothing if it has been
        erased."""
        try:
            view = await self._requests.view(place[1])
        except NoSuchSession:
            return
        if view.session.archived is True and (damage := await self._damage(view)) is not None:
            yield self._unreadable(view.session, place, damage)
            return
        seq, last = 0, view.session.last_seq
        piece = self._head(view.session, place, marks)
        window = FIRST_WINDOW
        while seq < last:
            events = await self._read(view, seq + 1, min(seq + window, last))
            texts = [event_text(event) for event in events]
            piece += (b"," if seq else b"") + b",".join(texts)
            seq += len(events)
            window = next_window(len(texts), sum(map(len, texts)))
            if seq < last:
                yield piece
                piece = b""
        yield piece + b"]}\n"

    async def _damage(self, view: View) -> ArchiveDamaged | None:
        """Return the damage of an archived session, found by reading all its events. It must not keep other sessions
        out of the backup."""
        try:
            for first in range(1, view.session.last_seq + 1, MAX_WINDOW):
                await self._read(view, first, min(first + MAX_WINDOW - 1, view.session.last_seq))
        except ArchiveDamaged as damage:
            return damage
        return None

    def _unreadable(self, session: Session, place: Place, damage: ArchiveDamaged) -> bytes:
        """Return the line of a session that cannot be restored from this backup."""
        at = JSON.encode_value({"cursor": self._encode_cursor(place), "count": 0})
        return b'{"at":%b,"unreadable":%b,%b}\n' % (at, _text(str(damage)), session_fields(session))

    def _head(self, session: Session, place: Place, marks: bytes) -> bytes:
        """Return the line up to its first event. It begins with the place from which a backup can continue after this
        line."""
        at = JSON.encode_value({"cursor": self._encode_cursor(place), "count": session.last_seq})
        return b'{"at":%b,%b%b,"events":[' % (at, session_fields(session), marks)

    async def _read(self, view: View, first: int, last: int) -> list[Event]:
        return await self._log.read(view.session.session_id, first, last, view.life)


def _text(text: str) -> bytes:
    return one_line(JSON.encode_value(text))


def _marks(record: SessionRecord) -> bytes:
    """Return what a restore must know about a session besides its fields."""
    if record.is_past:
        return b',"importing":true'
    return b',"published":true' if record.epoch and record.ended_at is None else b""
